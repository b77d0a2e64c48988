"""`stanchion demo …`: a small box office to try the waiting room with."""

import asyncio
import contextlib
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from app.demo.everything import ROOM, Demo, Wanted, choose_port, run_demo
from app.demo.serving import QUEUE_PATH, run_site
from app.demo.shoppers import send_shoppers
from app.demo.site import SiteOptions, Tour
from app.logs import configure_logs
from app.settings import load_settings

demo = typer.Typer(help="Try everything at once: the service, a box office behind the gate, and a crowd.")


@demo.callback(invoke_without_command=True)
def everything(
    context: typer.Context,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The box office. Default: 8000 or a free one.")
    ] = None,
    service_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The service. Default: 3000 or a free one.")
    ] = None,
    crowd: Annotated[int, typer.Option(min=0, max=20_000, help="Visitors in ten minutes, besides you.")] = 520,
    shoppers: Annotated[int, typer.Option(min=0, max=200, help="Visitors who go the whole way.")] = 6,
    folder: Annotated[
        Path | None, typer.Option(help="Keep data and logs here. Default: a temporary folder, removed at the end.")
    ] = None,
) -> None:
    """Start everything on this machine, and say what to look at; Ctrl-C stops it all."""
    if context.invoked_subcommand is not None:
        return
    signal.signal(signal.SIGTERM, _leave)
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stanchion-demo-")))
        folder.mkdir(parents=True, exist_ok=True)
        wanted = Wanted(folder, choose_port(service_port, 3000), choose_port(port, 8000), crowd, shoppers)
        console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        try:
            running = stack.enter_context(run_demo(wanted, lambda text: console.print(f"[dim]{text}[/dim]")))
            for line in _what_to_look_at(running):
                console.print(line)
            running.watch()
        except KeyboardInterrupt:
            console.print()


def _what_to_look_at(running: Demo) -> list[str]:
    site, service = f"http://localhost:{running.wanted.site_port}", f"http://localhost:{running.wanted.service_port}"
    return [
        f"[bold]The tour[/bold]       [bold cyan]{site}/tour#{running.admin_token}[/bold cyan]   start here: everything in one window",
        f"  the site       {site}/   twenty may be inside; you will stand in line",
        f"  waiting page   {site}/_queue/rooms/{ROOM}",
        f"  dashboard      {service}/admin   token: {running.admin_token}",
        "  stop           Ctrl-C",
    ]


def _leave(number: int, _: FrameType | None) -> None:
    """Leave by the stack, like on Ctrl-C."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@demo.command()
def site(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where to listen.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    waiting_room: Annotated[str, typer.Option(help="Where the service is. Default: QUEUE_URL.")] = "",
    guard_room: Annotated[
        str, typer.Option("--guard", help="Guard the site by this room's gate, without a proxy in front.")
    ] = "",
    ledger: Annotated[Path | None, typer.Option(help="SQLite file that keeps the sales. Default: memory only.")] = None,
    inside: Annotated[int, typer.Option(min=0, help="For the tour: how many may be inside. 0: no tour.")] = 0,
) -> None:
    """Run the box office's site. LOCK_TOKEN and TASK_TOKEN are read from the environment."""
    settings = load_settings()
    configure_logs(settings.log_format, settings.log_level)
    service_url = waiting_room or settings.queue_url
    options = SiteOptions(
        service_url=service_url,
        lock_token=settings.lock_token.get_secret_value() if settings.lock_token else None,
        task_token=settings.task_token.get_secret_value() if settings.task_token else None,
        ledger_path=ledger,
        tour=Tour(f"{QUEUE_PATH}/rooms/{guard_room}", inside, f"{service_url}/admin")
        if guard_room and inside
        else None,
    )
    run_site(options, host, port, guard_room or None)


@demo.command()
def shoppers(
    url: Annotated[str, typer.Option(help="Where the site is.")] = "http://localhost:8000",
    count: Annotated[int, typer.Option(min=1, max=200, help="How many at a time.")] = 5,
    seed: Annotated[int, typer.Option(help="The same seed makes the same choices.")] = 1,
) -> None:
    """Send visitors who go the whole way (line, seats, payment), until Ctrl-C."""
    configure_logs("auto", "info")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(send_shoppers(url, count, seed))
