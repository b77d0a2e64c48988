"""`stanchion simulate …`: load that checks the promises, against a running service."""

import typer

from app.simulate.crowd.command import crowd
from app.simulate.grab import grab
from app.simulate.locks import locks
from app.simulate.tasks import tasks

simulate = typer.Typer(
    help="Make load on a running service, watch it live, and check its promises.", no_args_is_help=True
)
simulate.command()(crowd)
simulate.command()(locks)
simulate.command()(tasks)
simulate.command()(grab)
