"""One table from which routes and the OpenAPI document are both made, so that they cannot part.

Each area's module (`health`, `rooms`, …) exports `OPERATIONS`; `app.web.app` puts them together.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.services import Services
from app.web.access import Access
from app.web.operator_access import allow
from app.web.origins import origins_of

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Answer:
    """One documented answer: what it means, and its body (a model, or a media type, or nothing)."""

    meaning: str
    body: type[BaseModel] | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    """Starlette's form, `/rooms/{room}/join`; converters like `{id:path}` are dropped in the document."""
    handler: Handler
    summary: str
    tag: str
    answers: Mapping[int, Answer]
    description: str = ""
    access: Access = Access.PUBLIC
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    body_required: bool = True
    path_patterns: Mapping[str, str] = field(default_factory=dict)
    """Regular expressions of path parameters, for the document."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Optional request headers and what they do."""
    problems: Sequence[int] = ()
    """Further statuses that come as problem+json."""
    ticket: bool = False
    """Whether the caller identifies with a ticket (bearer or cookie) instead of an operator's token."""
    hidden: bool = False
    """Whether it stays out of the document (pages, static files)."""


def services_of(request: Request) -> Services:
    """The services that the lifespan made."""
    services: Services = request.state.services
    return services


def routes_of(operations: Sequence[Operation]) -> list[Route]:
    """The router's entries: one per path, so that a wrong method is a 405 that lists the right ones."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
        if operation.ticket:
            by_path[operation.path]["OPTIONS"] = replace(operation, method="OPTIONS", handler=_preflight, ticket=False)
    return [Route(path, _dispatch(methods), methods=list(methods)) for path, methods in by_path.items()]


def _dispatch(methods: Mapping[str, Operation]) -> Handler:
    async def endpoint(request: Request) -> Response:
        operation = methods.get(request.method) or methods["GET"]  # HEAD is answered as GET
        await allow(request, operation.access, services_of(request))
        response = await operation.handler(request)
        if operation.ticket:
            readable_elsewhere(request, response)
        return response

    return endpoint


def readable_elsewhere(request: Request, response: Response) -> Response:
    """The response, which a page of an allowed other origin may read."""
    response.raw_headers.extend(origins_of(request).cors_headers(dict(request.scope["headers"])))
    return response


async def _preflight(request: Request) -> Response:
    """What a browser asks before a page of another origin may send a ticket."""
    response = Response(status_code=204)
    response.raw_headers.extend(origins_of(request).preflight_headers(dict(request.scope["headers"])))
    return response


def path_parameters(path: str) -> list[str]:
    """The names in `/rooms/{room}/x` or `/locks/{id:path}`."""
    return [piece.split("}")[0].split(":")[0] for piece in path.split("{")[1:]]


def plain_path(path: str) -> str:
    """The path as OpenAPI writes it."""
    pieces = path.split("{")
    return pieces[0] + "".join("{" + p.split("}")[0].split(":")[0] + "}" + p.split("}", 1)[1] for p in pieces[1:])
