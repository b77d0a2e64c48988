"""An upstream for the proxy to forward to: an ASGI application on a port of its own, in a thread."""

import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.requests import Request
from starlette.responses import Response

from tests.support.servers import free_port

Handler = Callable[[Request], Awaitable[Response]]


@contextmanager
def running_upstream(handler: Handler, port: int | None = None) -> Iterator[str]:
    """Serve `handler` for the length of the block; gives its URL."""

    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        response = await handler(Request(scope, receive))
        await response(scope, receive, send)

    port = port or free_port()
    config = uvicorn.Config(
        app,
        port=port,
        lifespan="off",
        log_config=None,
        ws="none",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=75,  # as the service: a request that meets a connection just closing would be lost
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline, "the upstream did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
