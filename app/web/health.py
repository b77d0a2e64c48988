"""Health, metrics and the documents: what operators and their machines ask."""

import json
from functools import cached_property
from typing import Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from app.web.bodies import NO_STORE, Wire, answer, read_query
from app.web.operations import Answer, Operation, services_of
from app.web.page_html import templates


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


class Documents:
    """The OpenAPI document as data and as a page, each written once: strangers may ask for them, and it takes a while."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    @cached_property
    def data(self) -> bytes:
        """As JSON."""
        return json.dumps(self._document).encode()

    @cached_property
    def page(self) -> bytes:
        """As HTML, made here: no scripts, nothing from other hosts."""
        return templates().get_template("api.html").render(document=self._document).encode()


async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    documents: Documents = request.app.state.documents
    return Response(documents.data, headers=NO_STORE, media_type="application/json")


async def docs(request: Request) -> Response:
    """The OpenAPI document as a page."""
    documents: Documents = request.app.state.documents
    policy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    headers = {"content-security-policy": policy}
    return Response(documents.page, headers=headers, media_type="text/html; charset=utf-8")


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
