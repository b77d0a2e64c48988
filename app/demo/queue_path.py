"""The waiting room's pages under a path of the site's own host, as a proxy in front would have them.

One origin makes everything simple: cookies, frames, no address to configure. Only what visitors need is handed on; the
operator's dashboard stays where only operators reach it.
"""

import asyncio
from collections.abc import Mapping

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from app.demo.cookieless import no_cookies
from app.demo.paths import is_plain
from app.logs import get_logger

log = get_logger(__name__)

HANDED_ON = ("rooms/", "static/")
"""What of the service is reached this way."""
MAX_BODY = 1 << 20
CONNECT_LIMIT_S = 3.0
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authorization", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)
_OURS = frozenset((b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded", b"content-length"))


class QueuePath:
    """ASGI middleware: what is below `path` goes to the service, everything else to the site."""

    def __init__(self, app: ASGIApp, service_url: str, path: str) -> None:
        self._app = app
        self._path = path.rstrip("/")
        self._url = service_url.rstrip("/")
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        timeout = httpx.Timeout(None, connect=CONNECT_LIMIT_S)  # pushed updates may be silent for long
        self._client = httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False, cookies=no_cookies())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            try:
                await self._app(scope, receive, send)
            finally:
                await self._client.aclose()
        elif scope["type"] == "http" and scope["path"].startswith(self._path + "/"):
            await self._hand_on(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _hand_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not (is_plain(scope["path"]) and scope["path"][len(self._path) + 1 :].startswith(HANDED_ON)):
            await _plain(send, 404, b"This part of the service is not reached through the site.\n")
            return
        try:
            body = await _body(receive)
        except _Gone:
            return  # half a request is none
        if body is None:
            await _plain(send, 413, b"Too large.\n")
            return
        answering = asyncio.create_task(self._answer(scope, body, send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            answering.cancel()  # a visitor who has gone needs no answer; a stream ends here
            leaving.cancel()
            failure, _ = await asyncio.gather(answering, leaving, return_exceptions=True)
        if isinstance(failure, Exception):
            raise failure

    async def _answer(self, scope: Scope, body: bytes, send: Send) -> None:
        raw: bytes = (scope.get("raw_path") or scope["path"].encode())[len(self._path.encode()) :]
        query: bytes = scope["query_string"]
        url = httpx.URL(self._url).copy_with(raw_path=raw + (b"?" + query if query else b""))
        request = self._client.build_request(scope["method"], url, headers=_onward(scope), content=body or None)
        try:
            answer = await self._client.send(request, stream=True)
        except httpx.TransportError as error:
            log.warning("service_unheard", error=repr(error))
            await _plain(send, 503, b"The waiting room cannot be reached right now; try again in a moment.\n")
            return
        try:
            headers = [pair for pair in answer.headers.raw if pair[0].lower() not in _HOP_BY_HOP]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
            async for chunk in answer.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except httpx.TransportError as error:
            log.warning("service_fell_silent", error=repr(error))  # in the middle of an answer: it is cut short
        finally:
            await answer.aclose()


def _onward(scope: Scope) -> list[tuple[bytes, bytes]]:
    headers = [pair for pair in scope["headers"] if pair[0] not in _HOP_BY_HOP | _OURS]
    host = dict(scope["headers"]).get(b"host", b"")
    own: Mapping[bytes, bytes] = {
        b"x-forwarded-for": scope["client"][0].encode() if scope.get("client") else b"",
        b"x-forwarded-proto": scope["scheme"].encode(),
        b"x-forwarded-host": host,
    }
    return headers + [(name, value) for name, value in own.items() if value]


class _Gone(Exception):
    """The visitor has hung up."""


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when it is larger than any that the service takes from visitors.

    Raises:
        _Gone: the visitor hung up before its end.
    """
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _plain(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    if status == 503:
        headers.append((b"retry-after", b"3"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
