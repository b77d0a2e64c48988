"""Errors on the wire: RFC 9457 problem details, from one table that turns error kinds into status codes."""

import json
import math
from collections.abc import Iterable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.errors import StanchionError, TurnedAway
from app.logs import get_logger
from app.web.operations import readable_elsewhere
from app.web.page_forms import opened_instead_of_posted

log = get_logger(__name__)

PROBLEM_TYPE = "application/problem+json"

STATUS_BY_KIND: dict[str, int] = {
    "internal": 500,
    "store-unavailable": 503,
    "state-unreadable": 503,
    "invalid-input": 400,
    "too-large": 413,
    "not-found": 404,
    "conflict": 409,
    "unauthorized": 401,
    "forbidden": 403,
    "ticket-refused": 401,
    "pass-refused": 401,
    "pass-needed": 429,
    "vip-refused": 401,
    "joins-held": 503,
    "room-closed": 409,
    "lease-lost": 409,
    "outcome-unknown": 503,
    "locked": 423,
    "wait-ran-out": 504,
    "line-full": 503,
    "lock-lost": 409,
    "hold-aborted": 503,
    "upstream-unavailable": 503,
    "upstream-timeout": 504,
    "too-busy": 503,
    "room-full": 409,
    "too-many-joins": 429,
    "code-refused": 410,
    "too-many-codes": 429,
    "not-your-turn": 409,
    "turn-over": 410,
    "visit-barred": 403,
    "identity-refused": 401,
    "sign-in-refused": 403,
    "too-many-tries": 429,
}

_TITLES = {
    400: "Invalid request",
    404: "Not found",
    405: "Method not allowed",
    413: "Too large",
}

_ADVICE = {
    404: "There is nothing at this address; /docs lists what there is.",
    405: "This address does not take that method; /docs says which it takes.",
    413: "The request body is larger than this service accepts.",
}


def problem(
    status: int,
    title: str,
    detail: str,
    *,
    kind: str = "about:blank",
    retry_after_s: float | None = None,
    extra: Mapping[str, object] | None = None,
) -> Response:
    """A problem+json response; 401 gets its challenge, and a wait its `Retry-After`."""
    return Response(
        problem_body(status, title, detail, kind=kind, extra=extra),
        status,
        headers=dict(problem_headers(status, retry_after_s=retry_after_s, reason=str((extra or {}).get("reason", "")))),
        media_type=PROBLEM_TYPE,
    )


def problem_body(
    status: int, title: str, detail: str, *, kind: str, extra: Mapping[str, object] | None = None
) -> bytes:
    """The body alone, for callers that write plain ASGI."""
    content: dict[str, object] = {"type": kind_uri(kind), "title": title, "status": status, "detail": detail}
    content.update(extra or {})
    return json.dumps(content, ensure_ascii=False).encode()


def problem_headers(status: int, *, retry_after_s: float | None, reason: str = "") -> Iterable[tuple[str, str]]:
    """The headers that go with a problem besides its type."""
    yield "cache-control", "no-store"
    if status == 401:
        yield "www-authenticate", f'Bearer realm="stanchion", error="invalid_token", error_description="{reason}"'
    if retry_after_s is not None:
        yield "retry-after", str(max(1, math.ceil(retry_after_s)))


def plain_problem(error: StanchionError) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    """An error as status, body and headers, for callers that write plain ASGI."""
    status, reason = status_of(error), str(error.extra.get("reason", ""))
    headers = [(b"content-type", PROBLEM_TYPE.encode())]
    for name, value in problem_headers(status, retry_after_s=error.retry_after_s, reason=reason):
        headers.append((name.encode(), value.encode()))
    return status, problem_body(status, error.title, error.message, kind=error.kind, extra=error.extra), headers


def kind_uri(kind: str) -> str:
    """The `type` of a problem: a stable name that programs may compare."""
    return kind if kind == "about:blank" else f"urn:stanchion:problem:{kind}"


def status_of(error: StanchionError) -> int:
    """The status code of an error's kind; an unknown kind is a bug and stays a 500."""
    if isinstance(error, TurnedAway):
        return error.chosen_status
    return STATUS_BY_KIND.get(error.kind, 500)


async def on_stanchion_error(request: Request, error: Exception) -> Response:
    """Answer an error that we know how to explain."""
    assert isinstance(error, StanchionError)  # noqa: S101  # Starlette dispatches by class
    status = status_of(error)
    if status >= 500:
        log.warning("request_failed", kind=error.kind, detail=error.message)
    answer = problem(
        status, error.title, error.message, kind=error.kind, retry_after_s=error.retry_after_s, extra=error.extra
    )
    return readable_elsewhere(request, answer)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what Starlette itself refuses: unknown paths and methods, bodies beyond the limit."""
    assert isinstance(error, HTTPException)  # noqa: S101  # Starlette dispatches by class
    status = error.status_code
    page = opened_instead_of_posted(request) if status == 405 else None
    if page is not None:
        return page
    response = problem(status, _TITLES.get(status, error.detail), _ADVICE.get(status, error.detail))
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


async def on_hang_up(_: Request, __: Exception) -> Response:
    """The client went away in the middle of its own request: there is nobody to answer, and nothing is wrong here."""
    return Response(status_code=400)


async def on_unexpected_error(_: Request, error: Exception) -> Response:
    """Answer a bug: the log has the traceback, the stranger does not."""
    log.error("unexpected_error", exc_info=error)
    return problem(500, "Internal error", "Something went wrong here; the request id finds it in the logs.")
