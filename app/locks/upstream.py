"""The upstream that does the work under a lock: one request out, its answer back as it comes.

Scheme and host are the operator's; the caller chooses only what stands in for `{id}`, and that is encoded
with nothing left safe. Redirects are the caller's to follow, and no cookies are kept between calls.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from app.errors import InvalidInput, UpstreamTimeout, UpstreamUnavailable

CONNECT_LIMIT_S = 5.0
KNOWN_STATUSES = range(200, 600)
"""Of answers; others cannot be passed on."""
MAX_CONNECTIONS = 1000
MAX_IDLE_CONNECTIONS = 100

Headers = Sequence[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_OURS = frozenset({b"host", b"x-fence", b"x-request-id", b"x-lock-token", b"expect"})


@dataclass(frozen=True)
class Outgoing:
    """What is to be sent upstream."""

    method: str
    lock_id: str
    query: bytes
    headers: Headers
    body: bytes | AsyncIterator[bytes] | None
    fence: int
    request_id: str


class Upstream:
    """The place that `LOCK_UPSTREAM_URL` names."""

    def __init__(self, template: str, timeout_s: float, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._template = template
        self._timeout = {"connect": CONNECT_LIMIT_S, "read": timeout_s, "write": timeout_s, "pool": CONNECT_LIMIT_S}
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_IDLE_CONNECTIONS)
        self._transport = transport or httpx.AsyncHTTPTransport(limits=limits, trust_env=False, retries=1)

    def url(self, lock_id: str, query: bytes = b"") -> httpx.URL:
        """Where the work on an id is done; the caller's query string is added to the template's own.

        Raises:
            InvalidInput: the id would be taken for a step in the path.
        """
        if lock_id in (".", ".."):
            raise InvalidInput("The ids . and .. cannot be forwarded: they would change the path.")
        url = httpx.URL(self._template.replace("{id}", quote(lock_id, safe="")))
        return url.copy_with(query=b"&".join(part for part in (url.query, query) if part) or None)

    @asynccontextmanager
    async def asked(self, outgoing: Outgoing) -> AsyncIterator[httpx.Response]:
        """The upstream's answer, its body still to be read with `body_of`. Leaving the block ends the call.

        Raises:
            UpstreamUnavailable: it cannot be reached, broke off, or answered with no status of HTTP's.
            UpstreamTimeout: it was silent for too long.
        """
        request = httpx.Request(
            outgoing.method,
            self.url(outgoing.lock_id, outgoing.query),
            headers=[
                *forwardable(outgoing.headers, also_without=_OURS),
                (b"x-fence", str(outgoing.fence).encode()),
                (b"x-request-id", outgoing.request_id.encode()),
            ],
            content=outgoing.body,
            extensions={"timeout": self._timeout},
        )
        try:
            response = await self._transport.handle_async_request(request)
        except httpx.TransportError as error:
            raise _explained(error) from error
        try:
            if response.status_code not in KNOWN_STATUSES:
                raise UpstreamUnavailable(
                    f"The upstream answered with the status {response.status_code}, which HTTP does not have."
                )
            yield response
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._transport.aclose()


async def body_of(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body as it came over the wire, still in its content encoding.

    Raises:
        UpstreamUnavailable: it broke off in the middle.
        UpstreamTimeout: it was silent for too long.
    """
    assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101  # what an async transport gives
    try:
        async for chunk in response.stream:
            yield chunk
    except httpx.TransportError as error:
        raise _explained(error) from error


def forwardable(
    headers: Iterable[tuple[bytes, bytes]], *, also_without: Iterable[bytes] = ()
) -> list[tuple[bytes, bytes]]:
    """The headers that travel on: not those of one hop, nor what `Connection` names as such."""
    pairs = [(name.lower(), value) for name, value in headers]
    named = {item.strip().lower() for name, value in pairs if name == b"connection" for item in value.split(b",")}
    dropped = HOP_BY_HOP | named | set(also_without)
    return [(name, value) for name, value in pairs if name not in dropped]


def _explained(error: httpx.TransportError) -> Exception:
    if isinstance(error, httpx.ReadTimeout):
        return UpstreamTimeout(
            "The upstream did not answer within the time limit; whether it had an effect is unknown."
        )
    return UpstreamUnavailable("The upstream cannot be reached, or broke off; try again shortly.", retry_after_s=1)
