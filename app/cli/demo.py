"""`stanchion demo …`: a small box office to try the waiting room with."""

from pathlib import Path
from typing import Annotated

import typer

from app.demo.serving import run_site
from app.demo.site import SiteOptions
from app.logs import configure_logs
from app.settings import load_settings

demo = typer.Typer(help="A small box office to try the waiting room with.", no_args_is_help=True)


@demo.command()
def site(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where to listen.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    waiting_room: Annotated[str, typer.Option(help="Where the service is. Default: QUEUE_URL.")] = "",
    ledger: Annotated[Path | None, typer.Option(help="SQLite file that keeps the sales. Default: memory only.")] = None,
) -> None:
    """Run the box office's site. LOCK_TOKEN and TASK_TOKEN are read from the environment."""
    settings = load_settings()
    configure_logs(settings.log_format, settings.log_level)
    options = SiteOptions(
        service_url=waiting_room or settings.queue_url,
        lock_token=settings.lock_token.get_secret_value() if settings.lock_token else None,
        task_token=settings.task_token.get_secret_value() if settings.task_token else None,
        ledger_path=ledger,
    )
    run_site(options, host, port)
