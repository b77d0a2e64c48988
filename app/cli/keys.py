"""`stanchion keys …`: the keys that sign tickets."""

import typer
from rich.console import Console

from app.cli.connection import operator_api

keys = typer.Typer(name="keys", help="The keys that sign tickets.", no_args_is_help=True)


@keys.command()
def rotate() -> None:
    """Publish a new signing key. Old tickets stay valid; asking again before it signs changes nothing."""
    with operator_api() as api:
        rotation = api.call("POST", "/admin/api/keys/rotate")
    Console().print(
        f"Key [bold]{rotation['kid']}[/bold] signs tickets from {rotation['signsInSeconds']:.0f} s from now on; "
        "tickets signed before stay valid."
    )
