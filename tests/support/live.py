"""The application on a real port in the test's own process, so that a browser can visit it and the test reach into it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from app.services import Services, open_services
from app.settings import Settings
from app.web.app import create_app
from app.web.server import SERVER_OPTIONS
from tests.support.apps import settled
from tests.support.servers import free_port
from tests.support.waiting import eventually


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals stay the test runner's."""
        yield


@dataclass
class LiveApp:
    """A running service: its address, and what it is made of."""

    url: str
    services: Services
    server: uvicorn.Server

    async def control(self, verb: str, room: str = "default") -> None:
        """An operator's verb, seen by this replica when it returns."""
        await self.services.operator.control(room, verb, "test")
        await self.services.operator.look(self.services.rooms.get(room))


@asynccontextmanager
async def serving(app: ASGIApp, port: int | None = None) -> AsyncIterator[tuple[str, uvicorn.Server]]:
    """Serve any application on loopback until the block ends: its address and its server."""
    port = port or free_port()
    options = {**SERVER_OPTIONS, "loop": "none"}
    server = _Server(uvicorn.Config(app, host="127.0.0.1", port=port, timeout_graceful_shutdown=5, **options))
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started or task.done())
    try:
        yield f"http://127.0.0.1:{port}", server
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def live_app(settings: Settings, port: int | None = None, *, with_store: bool = True) -> AsyncIterator[LiveApp]:
    """Serve until the block ends; open streams are ended with it. Without a store, nothing is waited for."""
    app = create_app(lambda: open_services(settings))
    async with serving(app, port) as (url, server):
        services = app.services
        assert services is not None
        await eventually(lambda: not with_store or settled(services))
        try:
            yield LiveApp(url, services, server)
        finally:
            services.draining = True
