"""The ASGI application: hot routes first, everything else through Starlette."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import StanchionError
from app.services import Services
from app.web import demo, health, schedules, task_admin, task_routes
from app.web.context import RequestContext
from app.web.openapi import openapi_document
from app.web.operations import Operation, routes_of
from app.web.problems import on_http_exception, on_stanchion_error, on_unexpected_error

MAX_BODY_BYTES = 16 * 1024 * 1024
"""No body may be larger; routes with a narrower limit of their own check it themselves."""

ServicesFactory = Callable[[], AbstractAsyncContextManager[Services]]

OPERATIONS: tuple[Operation, ...] = (
    *health.OPERATIONS,
    *task_routes.OPERATIONS,
    *task_admin.OPERATIONS,
    *schedules.OPERATIONS,
    *demo.OPERATIONS,
)


class Application:
    """Lifespan, and the way of each request."""

    def __init__(self, factory: ServicesFactory) -> None:
        self.services: Services | None = None
        self._rest: ASGIApp

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
            async with factory() as services:
                self.services = services
                self._rest = RequestContext(self.starlette, services.metrics)
                yield {"services": services}

        self.starlette = Starlette(
            routes=[
                *routes_of(OPERATIONS),
                Mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static"),
            ],
            exception_handlers={
                StanchionError: on_stanchion_error,
                HTTPException: on_http_exception,
                Exception: on_unexpected_error,
            },
            lifespan=lifespan,
            max_body_size=MAX_BODY_BYTES,
        )
        self.starlette.state.openapi = openapi_document(OPERATIONS)
        self._rest = self.starlette

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._rest(scope, receive, send)


def create_app(factory: ServicesFactory) -> Application:
    """The application around the services that `factory` opens at start-up."""
    return Application(factory)
