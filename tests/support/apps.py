"""The application in the test's own process: no sockets, the real routes, a real or a faked store."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from app.clock import Clock
from app.services import Services, open_services
from app.settings import Settings
from app.web.app import Application, create_app


@asynccontextmanager
async def running_app(
    settings: Settings, *, clock: Clock | None = None, fragments: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[httpx.AsyncClient, Services]]:
    """A client of the application, and its services, with the lifespan run."""
    app = create_app(lambda: open_services(settings, clock=clock, fragments=fragments))
    async with app.starlette.router.lifespan_context(app.starlette) as state:
        assert state is not None
        transport = httpx.ASGITransport(with_state(app, state), raise_app_exceptions=False, client=("127.0.0.1", 50000))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            yield client, state["services"]


def settled(services: Services) -> bool:
    """Whether this replica knows every room, and none is being checked any more: joins are answered, nothing is held."""
    rooms = services.rooms.all()
    return services.has_snapshot and all(room.snapshot is not None and not room.snapshot.healing for room in rooms)


def with_state(app: Application, state: Mapping[str, Any]) -> Any:
    """What a server does for each request: hand it its own copy of the lifespan state."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        scope["state"] = dict(state)
        await app(scope, receive, send)

    return serve
