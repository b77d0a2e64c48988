"""What every request gets besides its answer: an id, a place in the metrics and logs, and safe headers.

Plain ASGI, outermost, so that it also sees what the router refuses.
"""

import re
import secrets
import time
from itertools import count

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.logs import get_logger
from app.metrics import Metrics
from app.web.operations import plain_path

log = get_logger(__name__)

REQUEST_ID_PATTERN = re.compile(rb"^[A-Za-z0-9._:-]{1,100}$")

NOSNIFF = (b"x-content-type-options", b"nosniff")
SAFE_HEADERS = (
    NOSNIFF,
    (b"referrer-policy", b"same-origin"),
)

_prefix = secrets.token_hex(5).encode()
_numbers = count(1)


def request_id(given: bytes) -> bytes:
    """The caller's `X-Request-Id` when it is harmless, else one of our own."""
    return given if given and REQUEST_ID_PATTERN.match(given) else b"%b-%x" % (_prefix, next(_numbers))


class RequestContext:
    """The middleware around the router."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        rid = request_id(given)
        scope["state"]["request_id"] = rid.decode()
        started_s = time.perf_counter()
        status = 500
        streams = False

        async def send_with_headers(message: Message) -> None:
            nonlocal status, streams
            if message["type"] == "http.response.start":
                status = message["status"]
                streams = any(
                    name == b"content-type" and value.startswith(b"text/event-stream")
                    for name, value in message.get("headers", ())
                )
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", rid), *SAFE_HEADERS]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=rid.decode()):
            try:
                await self.app(scope, receive, send_with_headers)
            finally:
                took_s = time.perf_counter() - started_s
                route = plain_path(getattr(scope.get("route"), "path", "unmatched"))
                self.metrics.requests.labels(scope["method"], route, str(status)).inc()
                if not streams:  # that it was open for hours says nothing of how fast it was
                    self.metrics.request_seconds.labels(route).observe(took_s)
                log.debug(
                    "request", method=scope["method"], route=route, status=status, took_ms=round(took_s * 1000, 2)
                )
