"""Work under a lock, as a response: the lock is taken, the work is done, and the client is answered.

Whatever happens on the way (the client hangs up, the wait runs out, the lease is lost, the upstream breaks
off), the lock is given up before the response is over.
"""

import asyncio
import time
from dataclasses import dataclass

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.errors import LockWaitRanOut, StanchionError
from app.locks.model import Grant, Wanted
from app.locks.upstream import Outgoing, Upstream, body_of, forwardable
from app.locks.work import simulated_work_s
from app.logs import get_logger
from app.services import Services
from app.web.access import carries_own_token
from app.web.bodies import Wire, answer
from app.web.inbox import ClientGone, Inbox, until_client_hangs_up

log = get_logger(__name__)

CLIENT_GONE = 499
"""For the metrics: the client hung up and got no answer."""
ASK_AGAIN_S = (0.1, 1.0)
"""An upstream that is locked itself is asked again after so long, doubled up to the second figure."""
_REPLACED = frozenset({b"x-fence", b"server-timing", b"x-request-id", b"date"})


class WorkDone(Wire):
    """What was done while the lock was held."""

    id: str
    message: str
    fence: int
    granted_at_ms: int
    """When the lock was granted, by the store's clock (milliseconds since 1970)."""
    waited_ms: float
    worked_ms: float


@dataclass
class Exchange:
    """One request for work on an id."""

    services: Services
    wanted: Wanted
    request: Request
    ask_again: bool
    """Whether an upstream that answers 423 is asked again within the wait."""
    send: Send
    inbox: Inbox
    started: bool = False
    """Whether the answer has begun, so that it can only be broken off."""


class UnderLock(Response):
    """The answer to a request for work on an id."""

    def __init__(self, services: Services, wanted: Wanted, request: Request, *, ask_again: bool) -> None:
        super().__init__()
        self._services = services
        self._wanted = wanted
        self._request = request
        self._ask_again = ask_again

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange | None = None
        try:
            async with until_client_hangs_up(receive) as inbox:
                exchange = Exchange(self._services, self._wanted, self._request, self._ask_again, send, inbox)
                upstream = self._services.upstream
                response = await (_simulate(exchange) if upstream is None else _forward(exchange, upstream))
        except ClientGone:
            response = Response(status_code=CLIENT_GONE)
            if exchange is not None and exchange.started:
                return
        except StanchionError as error:
            if exchange is None or not exchange.started:
                raise
            log.warning("answer_broken_off", kind=error.kind)
            return  # the server closes the connection of an answer that is not complete
        if response is not None:
            await response(scope, receive, send)


async def _simulate(exchange: Exchange) -> Response:
    services = exchange.services
    async with services.locks.holding(exchange.wanted) as grant:
        started_s = time.perf_counter()
        await asyncio.sleep(simulated_work_s(services.settings.processing_time_ms))
        worked_s = time.perf_counter() - started_s
    done = WorkDone(
        id=grant.lock_id,
        message=f"Processed {grant.lock_id} in {worked_s * 1000:.0f} ms",
        fence=grant.fence,
        granted_at_ms=grant.granted_ms,
        waited_ms=round(grant.waited_s * 1000, 3),
        worked_ms=round(worked_s * 1000, 3),
    )
    response = answer(done)
    for name, value in _own_headers(grant, worked_s):
        response.raw_headers.append((name, value))
    return response


async def _forward(exchange: Exchange, upstream: Upstream) -> None:
    """Forward the request while the lock is held. The last of the answer leaves once the lock is released, so
    that a client which asks for it next does not find its own lock in the way."""
    upstream.url(exchange.wanted.lock_id)  # refused before it waits
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + exchange.services.settings.lock_wait
    pause_s = ASK_AGAIN_S[0]
    async with exchange.services.locks.holding(exchange.wanted) as grant:
        while True:
            outgoing = _outgoing(exchange, grant)
            started_s = loop.time()
            async with upstream.asked(outgoing) as response:
                repeatable = exchange.ask_again and isinstance(outgoing.body, bytes | None)
                if response.status_code != 423 or not repeatable:
                    last = await _pass_on(exchange, grant, response, started_s)
                    break
            if loop.time() + pause_s > deadline_s:
                raise LockWaitRanOut("The upstream was locked for the whole wait; try again later.", retry_after_s=1)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, ASK_AGAIN_S[1])
    await exchange.send({"type": "http.response.body", "body": last, "more_body": False})


def _outgoing(exchange: Exchange, grant: Grant) -> Outgoing:
    request = exchange.request
    own = carries_own_token(request, exchange.services.settings)
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    body = exchange.inbox.whole() if has_body else None
    return Outgoing(
        method=request.method,
        lock_id=grant.lock_id,
        query=request.scope["query_string"],
        headers=[pair for pair in request.headers.raw if not (own and pair[0] == b"authorization")],
        body=exchange.inbox.stream() if has_body and body is None else body,
        fence=grant.fence,
        request_id=request.state.request_id,
    )


async def _pass_on(exchange: Exchange, grant: Grant, response: httpx.Response, started_s: float) -> bytes:
    """Send the upstream's answer on as it comes, all but its end, which is returned."""
    headers = forwardable(response.headers.raw, also_without=_REPLACED)
    if all(name != b"cache-control" for name, _ in headers):
        headers.append((b"cache-control", b"no-store"))
    headers += _own_headers(grant, asyncio.get_running_loop().time() - started_s)
    exchange.started = True
    await exchange.send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    left = int(response.headers.get("content-length", 0)) if exchange.request.method != "HEAD" else 0
    last = b""
    async for chunk in body_of(response):
        left -= len(chunk)
        if left == 0:
            last = chunk
        else:
            await exchange.send({"type": "http.response.body", "body": chunk, "more_body": True})
    return last


def _own_headers(grant: Grant, worked_s: float) -> list[tuple[bytes, bytes]]:
    timing = f"wait;dur={grant.waited_s * 1000:.1f}, work;dur={worked_s * 1000:.1f}"
    return [(b"x-fence", str(grant.fence).encode()), (b"server-timing", timing.encode())]
