"""Running the application on uvicorn: one process, drained before it stops."""

import asyncio
import contextlib
import gc
import resource
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from app.errors import ConfigError
from app.logs import get_logger
from app.services import open_services
from app.settings import Settings
from app.web.app import Application, create_app
from app.web.connections import LOOK_EVERY_S, Connection

log = get_logger(__name__)

SERVER_OPTIONS: dict[str, Any] = {
    "http": Connection,
    "loop": "uvloop",
    "lifespan": "on",
    "access_log": False,
    "log_config": None,
    "proxy_headers": False,
    "server_header": False,
    "ws": "none",
    "backlog": 4096,
    "timeout_keep_alive": 75,
}
"""What every replica and the bench's bare app run with. uvicorn's own proxy handling stays off: it would trust loopback.

Idle connections are kept for longer than proxies keep theirs (60 s with nginx and most clouds' balancers). The one that
waits less must be the proxy: a POST that meets a connection just closing is an error to the visitor, not sent again.
"""


SPARE_FILES = 4096
"""Open files beside the streams: requests in flight and waiting for the next, the store, the logs."""


class DrainingServer(uvicorn.Server):
    """A uvicorn server that fails `/readyz` for a while before it stops listening."""

    def __init__(
        self, config: uvicorn.Config, app: Application, drain_s: float, on_start: Callable[[int], None]
    ) -> None:
        super().__init__(config)
        self._app = app
        self._drain_s = drain_s
        self._on_start = on_start
        self._looked_s = time.monotonic()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is there by now stays; the collector need not walk over it again with every full pass.
        gc.collect()
        gc.freeze()
        if self.started and self.servers:
            self._on_start(self.servers[0].sockets[0].getsockname()[1])

    async def on_tick(self, counter: int) -> bool:
        if time.monotonic() - self._looked_s >= LOOK_EVERY_S:  # ticks come later where there is much to do
            self._looked_s = time.monotonic()
            for connection in tuple(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.look_after()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        services = self._app.services
        if self._drain_s <= 0 or services is None or services.draining or sig == signal.SIGINT:
            if services is not None:
                services.draining = True
            super().handle_exit(sig, frame)
            return
        services.draining = True
        # Proxies then send nothing more on old connections, which would be lost if it met their end.
        self.config.encoded_headers.append((b"connection", b"close"))
        log.info("draining", seconds=self._drain_s)
        asyncio.get_running_loop().call_later(
            self._drain_s, lambda: super(DrainingServer, self).handle_exit(sig, frame)
        )


def run_server(settings: Settings, on_start: Callable[[int], None]) -> bool:
    """Serve until a signal says stop; `on_start` is told the port once it listens.

    Returns:
        Whether it came to listen at all.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    app = create_app(lambda: open_services(settings))
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        timeout_graceful_shutdown=int(settings.stop_seconds) or None,
        **SERVER_OPTIONS,
    )
    _allow_open_files(settings.max_streams + SPARE_FILES)
    server = DrainingServer(config, app, settings.drain_seconds, on_start)
    with _listening_socket(settings) as listener, contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])  # raises the signal again once the orderly shutdown is over
    return server.started


def _allow_open_files(wanted: int) -> None:
    """Raise the process's own limit of open files, which is often 1,024, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    if limit < wanted:
        log.warning("few_open_files", allowed=limit, wanted=wanted, hint="raise ulimit -n, or lower MAX_STREAMS")


def _listening_socket(settings: Settings) -> socket.socket:
    """Bound by us, so that a port in use is one clear line instead of a log of uvicorn's."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        where = f"{settings.host}:{settings.port}"
        raise ConfigError([f"PORT: cannot listen on {where}: {error.strerror or error}; set another PORT"]) from None
    return listener
