"""Health, metrics and the documents: what operators and their machines ask."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from app.web.bodies import Wire, answer, read_query
from app.web.operations import Answer, Operation, services_of


class Alive(Wire):
    """The process answers."""

    status: str = "alive"


class Readiness(Wire):
    """Whether this replica should be sent visitors."""

    ready: bool
    draining: bool
    store: str = Field(description="`up` or `away`, as the last refresh found it.")


class ReadyQuery(Wire):
    """How strict to be."""

    strict: str | None = Field(None, description="Present: fail as well while the store is away.")


async def livez(_: Request) -> Response:
    """200 as long as the process can answer at all."""
    return answer(Alive())


async def readyz(request: Request) -> Response:
    """503 while draining and before the first snapshot; with `strict`, also while the store is away.

    A replica that has lost its store still answers `/status`, and is not taken out of service for it.
    """
    services = services_of(request)
    query = read_query(request, ReadyQuery)
    ready = services.has_snapshot and not services.draining and (query.strict is None or services.store_is_up)
    state = Readiness(ready=ready, draining=services.draining, store="up" if services.store_is_up else "away")
    return answer(state) if ready else answer(state, 503, retry_after="1")


async def metrics(request: Request) -> Response:
    """The page that Prometheus reads."""
    return Response(
        services_of(request).metrics.exposition(),
        media_type="text/plain; version=0.0.4",
        headers={"cache-control": "no-store"},
    )


async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    return answer(request.app.state.openapi)


@cache
def _templates() -> Environment:
    return Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)


async def docs(request: Request) -> Response:
    """The OpenAPI document as a page, made here: no scripts, nothing from other hosts."""
    page = _templates().get_template("api.html").render(document=request.app.state.openapi)
    return Response(
        page,
        media_type="text/html; charset=utf-8",
        headers={
            "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'"
        },
    )


OPERATIONS = (
    Operation("GET", "/livez", livez, "Is the process alive?", "health", {200: Answer("It is.", Alive)}),
    Operation(
        "GET",
        "/readyz",
        readyz,
        "Should this replica be sent visitors?",
        "health",
        {200: Answer("Yes.", Readiness), 503: Answer("Not now.", Readiness, {"Retry-After": "Seconds to wait."})},
        query=ReadyQuery,
        problems=(400,),
    ),
    Operation("GET", "/metrics", metrics, "Prometheus metrics", "health", {200: Answer("The metrics.", "text/plain")}),
    Operation(
        "GET",
        "/openapi.json",
        openapi,
        "This document",
        "documents",
        {200: Answer("The document.", "application/json")},
    ),
    Operation("GET", "/docs", docs, "This document as a page", "documents", {200: Answer("The page.", "text/html")}),
)
