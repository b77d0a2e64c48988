"""A running service, the box office in front of it, and visitors with cookies of their own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp

from app.client.tasks import TaskClient
from app.demo.payments import QUEUE, work
from app.demo.site import Office, SiteOptions, create_site
from app.worker import Worker, WorkerOptions
from tests.conftest import make_settings
from tests.support.live import LiveApp, live_app
from tests.support.servers import RealServer


@pytest.fixture
async def live(server: RealServer) -> AsyncIterator[LiveApp]:
    """The service."""
    settings = make_settings(redis_url=server.url, refresh_interval=0.02, task_backoff=0.1)
    async with live_app(settings) as served:
        yield served


class Visitors:
    """Browsers of the site, as far as forms and cookies go."""

    def __init__(self, app: ASGIApp, office: Office, stack: AsyncExitStack) -> None:
        self._app = app
        self._stack = stack
        self.office = office

    async def come(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://localhost:8000", timeout=30)
        return await self._stack.enter_async_context(client)


@asynccontextmanager
async def open_site(options: SiteOptions) -> AsyncIterator[Visitors]:
    """The site with its lifespan run; stopped in order at the end."""
    site: Starlette = create_site(options)
    async with site.router.lifespan_context(site) as state, AsyncExitStack() as stack:
        office = cast(Office, state)

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            scope["state"] = dict(office)
            await site(scope, receive, send)

        yield Visitors(serve, office, stack)


@pytest.fixture
async def site(live: LiveApp) -> AsyncIterator[Visitors]:
    """The box office, with memory only."""
    async with open_site(SiteOptions(live.url)) as visitors:
        yield visitors


@asynccontextmanager
async def bank_clerk(url: str) -> AsyncIterator[Worker]:
    """A worker with the payments' handler."""
    async with TaskClient(url) as client:
        worker = Worker(client, work, WorkerOptions("clerk", queue=QUEUE, concurrency=4, poll_s=2.0))
        running = asyncio.ensure_future(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            await running


@pytest.fixture(autouse=True)
def patient_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is taken for a second and renewed at once would be lost where the machine stands still in between."""
    monkeypatch.setattr("app.client.locks.CONFIRM_MS", 30_000)


@pytest.fixture
def quick_bank(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bank that does not think for long."""
    monkeypatch.setattr("app.demo.payments.BANK_S", 0.01)
