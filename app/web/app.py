"""The ASGI application: hot routes first, everything else through Starlette."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import StanchionError
from app.services import Services
from app.services.background import run_in_background
from app.web import (
    admin_keys,
    admin_rooms,
    admin_verbs,
    admin_vips,
    carry,
    demo,
    endings,
    health,
    jwks,
    locks,
    looks,
    pages,
    rooms,
    schedules,
    sessions,
    streams,
    task_admin,
    task_routes,
)
from app.web.body_limit import BodyLimit
from app.web.context import RequestContext
from app.web.dashboard import operations as dashboard
from app.web.dashboard.feed import Feed
from app.web.gate import gate
from app.web.gate.gate import Gate
from app.web.hot import HotRoutes
from app.web.openapi import openapi_document
from app.web.operations import Operation, routes_of
from app.web.origins import Origins
from app.web.problems import on_hang_up, on_http_exception, on_stanchion_error, on_unexpected_error
from app.web.proxies import Proxies
from app.web.root_path import RootPath, redirect_slashes
from app.web.shared_pages import SharedPages
from app.web.static_files import static_files
from app.web.streams import Streams

ServicesFactory = Callable[[], AbstractAsyncContextManager[Services]]

OPERATIONS: tuple[Operation, ...] = (
    *health.OPERATIONS,
    *task_routes.OPERATIONS,
    *task_admin.OPERATIONS,
    *schedules.OPERATIONS,
    *demo.OPERATIONS,
    *rooms.OPERATIONS,
    *pages.OPERATIONS,
    *looks.OPERATIONS,
    *streams.OPERATIONS,
    *gate.OPERATIONS,
    *locks.OPERATIONS,
    *admin_keys.OPERATIONS,
    *sessions.OPERATIONS,
    *carry.OPERATIONS,
    *jwks.OPERATIONS,
    *endings.OPERATIONS,
    *admin_rooms.OPERATIONS,
    *admin_verbs.OPERATIONS,
    *admin_vips.OPERATIONS,
    *dashboard.OPERATIONS,
)


class Application:
    """Lifespan, and the way of each request."""

    def __init__(self, factory: ServicesFactory) -> None:
        self.services: Services | None = None
        self.feed: Feed | None = None
        self._rest: ASGIApp
        self._ahead: tuple[Callable[[Scope], ASGIApp | None], ...] = ()
        """What is asked before the router, in this order: whether it answers a request, and with what."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
            async with factory() as services, AsyncExitStack() as stack:
                self.services = services
                streams = Streams(services)
                root_path = services.settings.root_path
                self._ahead = (
                    *([RootPath(root_path).strip] if root_path else []),
                    HotRoutes(services).find,
                    Gate(services).find,
                    streams.find,
                )
                run_in_background(stack, "streams", streams.run)
                self.feed = Feed(services)
                run_in_background(stack, "dashboard", self.feed.run)
                self._rest = RequestContext(self.starlette, services.metrics)
                yield {
                    "services": services,
                    "proxies": Proxies(services.settings),
                    "origins": Origins(services.settings),
                    "shared_pages": SharedPages(),
                    "dashboard": self.feed,
                }

        self.starlette = Starlette(
            routes=[
                *routes_of(OPERATIONS),
                Mount("/static", static_files(), name="static"),
            ],
            exception_handlers={
                StanchionError: on_stanchion_error,
                HTTPException: on_http_exception,
                ClientDisconnect: on_hang_up,
                Exception: on_unexpected_error,
            },
            middleware=[Middleware(BodyLimit)],
            lifespan=lifespan,
        )
        redirect_slashes(self.starlette.router)
        self.starlette.state.documents = health.Documents(openapi_document(OPERATIONS))
        self._rest = self.starlette

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for find in self._ahead:
                answers = find(scope)
                if answers is not None:
                    await answers(scope, receive, send)
                    return
        await self._rest(scope, receive, send)


def create_app(factory: ServicesFactory) -> Application:
    """The application around the services that `factory` opens at start-up."""
    return Application(factory)
