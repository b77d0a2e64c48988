"""A gate without a proxy: ASGI middleware that asks Stanchion before each request, and obeys.

    guarded = Guard(site, GuardOptions("http://localhost:3000", room="lantern-hall", open_paths=("/static/",)))

Works around any ASGI application whose server runs the lifespan (uvicorn and hypercorn do). The service must name this program's address in `TRUSTED_PROXIES`, for it is told
here what the visitor asked for, as a proxy would tell it. docs/demo.md has the recipe.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.demo.cookieless import no_cookies
from app.demo.offline import PassReader
from app.demo.paths import is_plain
from app.logs import get_logger

log = get_logger(__name__)

ASKED_WITH = frozenset(
    (
        b"cookie",
        b"accept",
        b"accept-language",
        b"access-control-request-method",
        b"origin",
        b"purpose",
        b"sec-fetch-dest",
        b"sec-fetch-mode",
        b"sec-fetch-site",
        b"sec-purpose",
        b"user-agent",
        b"x-waiting-room-bypass",
        b"x-waiting-room-pass",
    )
)
"""What of the visitor's request the gate is told. What it says of proxies stays behind: that is ours to say."""
HANDED_ON = frozenset(
    (b"cache-control", b"content-type", b"location", b"retry-after", b"set-cookie", b"vary", b"x-waiting-room")
)
"""What of the gate's refusal the visitor gets, besides its status and body."""
END = b"x-waiting-room-end"
NOT_ALLOWED = 1008
"""The close code of a web socket that a policy forbids (RFC 6455)."""
ANSWER_LIMIT_S = 3.0
TRY_AGAIN_S = 5


@dataclass(frozen=True)
class GuardOptions:
    """Which gate is asked, and about what."""

    service_url: str
    room: str
    open_paths: tuple[str, ...] = ()
    """Paths that never wait: `/bye` exactly, `/static/` with everything below. The gate is not even asked."""
    open_when_lost: bool = False
    """Whether newcomers are let through while the gate does not answer. Live passes go on either way."""


class _Verdict(NamedTuple):
    passes: bool
    status: int
    headers: list[tuple[bytes, bytes]]
    """When it passes, what to add to the site's answer: the pass, when it was made or renewed."""
    body: bytes


class Guard:
    """The middleware. One a process; it keeps connections to the gate open."""

    def __init__(self, app: ASGIApp, options: GuardOptions, *, transport: httpx.AsyncBaseTransport | None = None):
        self._app = app
        self._options = options
        base = options.service_url.rstrip("/")
        self._gate = f"{base}/gate/{options.room}"
        self._client = httpx.AsyncClient(
            transport=transport, timeout=ANSWER_LIMIT_S, trust_env=False, cookies=no_cookies()
        )
        self._passes = PassReader(f"{base}/.well-known/jwks.json", options.room, self._client)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._while_running(scope, receive, send)
        elif self._is_open(scope["path"]):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._guard_socket(scope, receive, send)
        else:
            await self._guard(scope, receive, send)

    async def _while_running(self, scope: Scope, receive: Receive, send: Send) -> None:
        following = asyncio.create_task(self._passes.follow(), name="public keys of passes")
        try:
            await self._app(scope, receive, send)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await self._client.aclose()

    def _is_open(self, path: str) -> bool:
        """What servers might read in different ways is never open."""
        if not is_plain(path):
            return False
        return any(path == rule or (rule.endswith("/") and path.startswith(rule)) for rule in self._options.open_paths)

    async def _guard_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A web socket is opened with a pass or not at all: nobody can be led elsewhere from there."""
        if (await self._ask(scope, _about(scope))).passes:
            await self._app(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": NOT_ALLOWED})

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        about = _about(scope)
        verdict = await self._ask(scope, about)
        if not verdict.passes:
            headers = [*verdict.headers, (b"content-length", b"%d" % len(verdict.body))]
            await send({"type": "http.response.start", "status": verdict.status, "headers": headers})
            await send({"type": "http.response.body", "body": verdict.body})
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                how = next((value for name, value in headers if name.lower() == END), None)
                added = verdict.headers if how is None else await self._end(about, how)
                kept = [pair for pair in headers if pair[0].lower() != END]
                message = {**message, "headers": kept + added}
            await send(message)

        await self._app(scope, receive, answer)

    async def _ask(self, scope: Scope, about: list[tuple[bytes, bytes]]) -> _Verdict:
        try:
            answer = await self._client.get(self._gate, headers=about)
        except httpx.HTTPError as error:
            log.warning("gate_unheard", error=repr(error))
            return self._decide_alone(scope)
        if answer.status_code == 200:
            return _Verdict(True, 200, _only(answer, (b"set-cookie",)), b"")
        if answer.status_code in (404, 500, 502, 504):  # no such room, or whoever stands in between is in trouble
            log.error("gate_answered", status=answer.status_code, body=answer.text[:200])
            return self._decide_alone(scope)
        return _Verdict(False, answer.status_code, _only(answer, HANDED_ON), answer.content)

    def _decide_alone(self, scope: Scope) -> _Verdict:
        """Nobody to ask: passes can still be checked, and everybody else is treated as set."""
        if self._options.open_when_lost or self._passes.find_live(scope["headers"], secure=_is_secure(scope)):
            return _Verdict(True, 200, [], b"")
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"retry-after", b"%d" % TRY_AGAIN_S),
            (b"refresh", b"%d" % TRY_AGAIN_S),
            (b"content-security-policy", b"default-src 'none'"),
        ]
        return _Verdict(False, 503, headers, _HELD.encode())

    async def _end(self, about: list[tuple[bytes, bytes]], how: bytes) -> list[tuple[bytes, bytes]]:
        """Tell the gate that the site has ended this visit; what the visitor's browser is to forget."""
        try:
            answer = await self._client.post(f"{self._gate}/end", headers=[*about, (END, how)])
        except httpx.HTTPError as error:
            log.warning("end_unheard", error=repr(error))  # the pass ends by itself
            return []
        if not answer.is_success:
            log.warning("end_refused", status=answer.status_code, body=answer.text[:200])
        return _only(answer, (b"set-cookie",))


_HELD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>One moment, please</title>
<main>
<h1>One moment, please</h1>
<p>Nobody new can be let in right now. This page tries again by itself every few seconds.</p>
</main>
</html>
"""


def _about(scope: Scope) -> list[tuple[bytes, bytes]]:
    """What the gate is told of a request: the visitor's own words, and ours about where they were said."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    own = [pair for pair in headers if pair[0] in ASKED_WITH]
    uri = scope.get("raw_path") or scope["path"].encode()
    if scope["query_string"]:
        uri += b"?" + scope["query_string"]
    client = scope.get("client")
    return [
        *own,
        (b"x-forwarded-method", scope.get("method", "GET").encode()),
        (b"x-forwarded-uri", uri),
        (b"x-forwarded-proto", b"https" if _is_secure(scope) else b"http"),
        (b"x-forwarded-host", dict(headers).get(b"host", b"")),
        *([(b"x-forwarded-for", client[0].encode())] if client else []),
    ]


def _is_secure(scope: Scope) -> bool:
    return scope["scheme"] in ("https", "wss")


def _only(answer: httpx.Response, names: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in answer.headers.raw if name.lower() in names]
