"""`stanchion serve`: an API replica, with a store of its own when none is named."""

import secrets
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import typer
from pydantic import SecretStr
from rich.console import Console

from app.logs import configure_logs
from app.settings import Settings, load_settings
from app.store.embedded import embedded_store
from app.web.server import run_server


def serve() -> None:
    """Run an API replica. Everything is set by environment variables; docs/settings.md lists them."""
    settings = load_settings()
    signal.signal(signal.SIGTERM, _leave)
    configure_logs(settings.log_format, settings.log_level)
    with ExitStack() as stack:
        where, token_path = "the store named by REDIS_URL", None
        if settings.embedded:
            data_dir = settings.data_dir.expanduser().absolute()
            store = stack.enter_context(embedded_store(data_dir, sync=settings.store_sync))
            where = f"embedded Valkey, data in {data_dir}" + (" (server taken over)" if store.adopted else "")
            if settings.admin_token is None:
                token_path = data_dir / "admin-token"
            settings = _with_embedded(settings, store.url, token_path)
        if not run_server(settings, lambda port: _banner(settings, port, where, token_path)):
            raise typer.Exit(1)


def _leave(number: int, _: FrameType | None) -> None:
    """Leave by the stack, like on Ctrl-C.

    uvicorn raises the signal again once it has shut down, and by default that would end the process on the
    spot: the store would be left behind.
    """
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _with_embedded(settings: Settings, url: str, token_path: Path | None) -> Settings:
    """The settings once the embedded server runs: its address, open routes as decided, the kept admin token if none is set."""
    return settings.model_copy(
        update={
            "open_routes": tuple(sorted(settings.open_kinds)),
            "redis_url": SecretStr(url),
            "admin_token": settings.admin_token if token_path is None else SecretStr(_kept_token(token_path)),
        }
    )


def _kept_token(path: Path) -> str:
    """The generated admin token, made at the first start and readable by the owner only."""
    kept = path.read_text(encoding="utf-8").strip() if path.exists() else ""
    if kept:
        return kept
    token = secrets.token_urlsafe(24)
    path.touch(mode=0o600)
    path.write_text(token + "\n", encoding="utf-8")
    return token


def _banner(settings: Settings, port: int, where: str, token_path: Path | None) -> None:
    """Say where everything is, and what to try. A generated token is shown to a person at a terminal, and in no log."""
    host = "localhost" if settings.on_loopback else settings.host
    base = f"http://{host}:{port}"
    opened = ", ".join(sorted(settings.open_kinds)) or "none"
    lines = [
        f"[bold]Stanchion[/bold] is open at [bold cyan]{base}[/bold cyan]",
        f"  store         {where}",
        f"  API           {base}/docs",
        f"  dashboard     {base}/admin",
        f"  open routes   join, status; without a token: {opened}",
    ]
    if token_path is not None:
        shown = f"{_kept_token(token_path)}  (in {token_path})" if sys.stdout.isatty() else f"in {token_path}"
        lines.append(f"  admin token   {shown}")
    lines += [
        "  try           [green]http POST " + f"localhost:{port}/join[/green]",
        f'                [green]http GET localhost:{port}/status "Authorization: Bearer {{token}}"[/green]',
        "  stop          Ctrl-C",
    ]
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    for line in lines:
        console.print(line)
