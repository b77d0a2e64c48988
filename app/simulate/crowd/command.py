"""The command `stanchion simulate crowd`: options in, a run, the report out."""

import asyncio
import json
import resource
import secrets
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
import uvloop
from rich.console import Console

from app.settings import load_client_settings
from app.simulate.addresses import service_urls
from app.simulate.crowd.checks import check_all
from app.simulate.crowd.figures import figures_of
from app.simulate.crowd.journeys import journeys_of
from app.simulate.crowd.live import live_view
from app.simulate.crowd.page import check_writable, render_page, write_page
from app.simulate.crowd.plan import DEFAULT_MIX_TEXT, Shape, Wish, apportion, parse_mix
from app.simulate.crowd.player import Player
from app.simulate.crowd.record import Recording
from app.simulate.crowd.summary import summary_of
from app.simulate.crowd.terminal import print_report

LOOPBACK = ("localhost", "127.0.0.1", "::1")
LARGEST_SEED = 2**32
SPARE_FILES = 64
"""Open files besides connections."""


def crowd(
    url: Annotated[list[str] | None, typer.Option(help="The service; again for more replicas.")] = None,
    room: Annotated[str, typer.Option(help="The room to stand in line for.")] = "default",
    through_gate: Annotated[
        list[str] | None,
        typer.Option(help="Come as browsers to this address behind the room's gate; again for more."),
    ] = None,
    visitors: Annotated[int, typer.Option("--visitors", "-n", min=1, max=100_000, help="How many come.")] = 500,
    shape: Annotated[Shape, typer.Option(help="How arrivals are spread.")] = Shape.STEADY,
    over: Annotated[float, typer.Option(min=0, max=86_400, help="Seconds within which they come.")] = 30.0,
    mix: Annotated[str, typer.Option(help="Shares of the kinds.")] = DEFAULT_MIX_TEXT,
    listening: Annotated[
        float, typer.Option(min=0, max=100, help="How many of a hundred listen to pushed news.")
    ] = 0.0,
    patience: Annotated[float, typer.Option(min=0, max=86_400, help="Seconds the impatient wait, on average.")] = 60.0,
    stay: Annotated[float, typer.Option(min=0, max=86_400, help="Seconds a visit inside lasts, on average.")] = 10.0,
    seed: Annotated[
        int | None, typer.Option(min=0, max=LARGEST_SEED, help="The same seed gives the same crowd.")
    ] = None,
    time_limit: Annotated[float, typer.Option(min=1, max=86_400, help="Seconds after which the run ends.")] = 300.0,
    connections: Annotated[int, typer.Option(min=1, max=10_000, help="How many are open at once, in all.")] = 512,
    admin_token: Annotated[
        str, typer.Option(envvar="ADMIN_TOKEN", help="The operator's token, to check the room's limits.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary as JSON, and nothing else.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write the report as an HTML file, with charts.")] = None,
    stay_behind: Annotated[
        bool,
        typer.Option("--stay-behind", help="Leave those still in line where they are, instead of letting them leave."),
    ] = False,
) -> None:
    """Play a crowd of visitors against a room, watch it, and check the promises from outside.

    Ctrl-C ends the run early, with its report. Exits with 1 when a promise was broken.
    """
    wish = Wish(
        visitors,
        secrets.randbelow(LARGEST_SEED) if seed is None else seed,
        shape,
        over,
        patience,
        stay,
        parse_mix(mix),
        listening,
    )
    if report:
        check_writable(report)
    _allow_open(connections + round(visitors * listening / 100))
    urls = service_urls(url)
    console = Console(highlight=False, stderr=as_json)
    token = admin_token or _kept_token(urls)
    player = Player(wish, room, urls, token=token, connections=connections, sites=through_gate or ())
    counts = ", ".join(f"{count} {kind}" for kind, count in apportion(visitors, wish.mix).items() if count)
    console.print(
        f"[bold]{visitors} visitors[/bold] ({counts}), {shape} over {over:g} s, "
        f"for the room [bold]{room}[/bold]; --seed {wish.seed}"
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        recording = runner.run(_run(player, time_limit, console, clear=not stay_behind))
    journeys = journeys_of(recording.visitors, recording.events)
    verdicts, figures = check_all(recording, journeys), figures_of(recording, journeys)
    print_report(console, recording, figures, verdicts)
    if report:
        write_page(report, render_page(recording, journeys, figures, verdicts, datetime.now(UTC)))
        console.print(f"\nReport: {report}")
    if as_json:
        print(json.dumps(summary_of(recording, figures, verdicts), indent=2, ensure_ascii=False))  # noqa: T201  # asked for
    if any(verdict.holds is False for verdict in verdicts):
        raise typer.Exit(1)


async def _run(player: Player, time_limit_s: float, console: Console, *, clear: bool) -> Recording:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        with live_view(console) as show:
            recording = await player.play(time_limit_s, stop, show)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)  # a second Ctrl-C ends at once
        if clear and (stayed := await player.clear_away()):
            console.print(f"[yellow]{stayed} could not leave; their places run out by themselves.[/yellow]")
    finally:
        player.close()
    return recording


def _allow_open(connections: int) -> None:
    """Raise this process's own bound on open files, as far as it may; where it may not, the rest goes without an answer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _kept_token(urls: list[str]) -> str | None:
    """The token of the operator's environment; the one kept by an embedded service is shown to this machine only."""
    token = load_client_settings().admin_token
    here = all(urlsplit(url).hostname in LOOPBACK for url in urls)
    return token.get_secret_value() if token and here else None
