"""`stanchion keys …`: the keys that sign tickets and passes."""

from typing import Annotated

import typer
from rich.console import Console

from app.cli.connection import operator_api

keys = typer.Typer(name="keys", help="The keys that sign tickets and passes.", no_args_is_help=True)


@keys.command()
def rotate(
    passes: Annotated[
        bool, typer.Option("--passes", help="The key of passes, rather than the one of tickets.")
    ] = False,
) -> None:
    """Publish a new signing key. What was signed stays valid; asking again before it signs changes nothing."""
    kind, path = ("passes", "pass-keys") if passes else ("tickets", "keys")
    with operator_api() as api:
        rotation = api.call("POST", f"/admin/api/{path}/rotate")
    Console().print(
        f"Key [bold]{rotation['kid']}[/bold] signs {kind} from {rotation['signsInSeconds']:.0f} s from now on; "
        f"{kind} signed before stay valid."
    )
