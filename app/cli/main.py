"""The command's entry: subcommands are put together here, errors become one clear line and an exit code."""

import sys

import typer

from app import __version__
from app.cli.demo import demo
from app.cli.keys import keys
from app.cli.rooms import rooms
from app.cli.serve import serve
from app.cli.simulate import simulate
from app.cli.tasks import tasks
from app.cli.worker import worker
from app.errors import ConfigError, StanchionError

cli = typer.Typer(
    name="stanchion",
    help="A virtual waiting room on Redis, with ID locks and a task queue behind it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
cli.command()(serve)
cli.command()(worker)
cli.add_typer(simulate, name="simulate")
cli.add_typer(demo, name="demo")
cli.add_typer(keys)
cli.add_typer(rooms)
cli.add_typer(tasks)


@cli.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 used or configured wrongly."""
    try:
        cli()
    except ConfigError as error:
        print("stanchion cannot start:", file=sys.stderr)
        for line in error.problems:
            print(f"  {line}", file=sys.stderr)
        sys.exit(2)
    except StanchionError as error:
        print(f"stanchion: {error.message}", file=sys.stderr)
        sys.exit(1)
