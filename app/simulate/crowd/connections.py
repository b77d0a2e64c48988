"""A lean HTTP/1.1 client with a bounded number of kept connections, so that the player of a crowd stays quicker than it."""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import httptools

from app.simulate.addresses import url_parts
from app.simulate.crowd.stream import Stream

KEPT_HEADERS = (b"location", b"retry-after", b"x-waiting-room", b"x-waiting-room-location")
LARGEST_ANSWER = 1_000_000
CONNECT_TIMEOUT_S = 5.0

Opened = TypeVar("Opened", bound=asyncio.Protocol)


class NoAnswer(Exception):
    """There was no answer; `kind` says why: `unreachable`, `timeout`, `cut-off` or `unreadable`."""

    def __init__(self, kind: str, *, stale: bool = False) -> None:
        super().__init__(kind)
        self.kind = kind
        self.stale = stale
        """Whether a kept connection turned out to be closed before anything came: worth a new one."""


class Answer(NamedTuple):
    """What came back, and when the request's bytes had been handed to the network (loop time)."""

    status: int
    headers: dict[bytes, bytes]
    """Those of `KEPT_HEADERS`."""
    cookies: tuple[bytes, ...]
    """What is to be kept, as `name=value`."""
    body: bytes
    sent_s: float


class _Connection(asyncio.Protocol):
    """One kept connection: one request at a time."""

    def __init__(self, pool: "Connections") -> None:
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._waiter: asyncio.Future[Answer] | None = None
        self.open = False
        self.used = False
        self._heard = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        self.open = True

    def connection_lost(self, _: Exception | None) -> None:
        self.open = False
        self._pool.forget(self)
        self._fail(NoAnswer("cut-off", stale=self.used and not self._heard))

    async def ask(self, request: bytes, timeout_s: float) -> Answer:
        """Send a request and wait for its answer."""
        self._waiter = self._loop.create_future()
        self._heard = False
        self._sent_s = self._loop.time()
        self._headers: dict[bytes, bytes] = {}
        self._cookies: list[bytes] = []
        self._body: list[bytes] = []
        self._size = 0
        self._parser = httptools.HttpResponseParser(self)
        timer = self._loop.call_later(timeout_s, self._fail, NoAnswer("timeout"))
        try:
            self._transport.write(request)
            return await self._waiter
        except BaseException:
            self.close()  # an answer may still come; nobody must take it for theirs
            raise
        finally:
            timer.cancel()
            self._waiter = None
            self.used = True

    def close(self) -> None:
        """Hang up."""
        self.open = False
        self._transport.abort()

    def _fail(self, error: NoAnswer) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:
            self.close()  # nothing was asked
            return
        self._heard = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(NoAnswer("unreadable"))

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in KEPT_HEADERS:
            self._headers[name] = value
        elif name == b"set-cookie":
            self._cookies.append(value.partition(b";")[0].strip())

    def on_body(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > LARGEST_ANSWER:
            self._fail(NoAnswer("unreadable"))
            self.close()
        else:
            self._body.append(part)

    def on_message_complete(self) -> None:
        if self._waiter is None or self._waiter.done():
            return
        if not self._parser.should_keep_alive():
            self.open = False
        status, body = self._parser.get_status_code(), b"".join(self._body)
        self._waiter.set_result(Answer(status, self._headers, tuple(self._cookies), body, self._sent_s))


class Connections:
    """Connections to one address, at most `limit`; whoever finds none free waits in line."""

    def __init__(self, url: str, limit: int, *, timeout_s: float = 10.0) -> None:
        """Nothing is opened yet.

        Raises:
            InvalidInput: the URL is not `http://host` or `https://host`, with a port and a path or without.
        """
        parts = url_parts(url)
        self.url = url.rstrip("/")
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.hostname or ""
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._prefix = parts.path.rstrip("/").encode()
        self._common = b" HTTP/1.1\r\nHost: " + parts.netloc.encode("idna" if not parts.netloc.isascii() else "ascii")
        self._slots = asyncio.Semaphore(limit)
        self._idle: deque[_Connection] = deque()
        self._timeout_s = timeout_s

    async def request(self, method: bytes, path: bytes, headers: bytes = b"") -> Answer:
        """One request with an empty body. It may be sent twice when a kept connection has just been closed.

        Args:
            headers: ready lines, each ended by CRLF.

        Raises:
            NoAnswer: nothing came back, in time or at all.
        """
        body = b"Content-Length: 0\r\n" if method == b"POST" else b""
        message = self._message(method, path, headers + body)
        async with self._slots:
            while True:
                connection = self._idle.pop() if self._idle else await self._open(lambda: _Connection(self))
                try:
                    answer = await connection.ask(message, self._timeout_s)
                except NoAnswer as error:
                    if error.stale:
                        continue
                    raise
                if connection.open:
                    self._idle.append(connection)
                else:
                    connection.close()
                return answer

    async def listen(
        self, path: bytes, headers: bytes, hear: Callable[[dict[str, Any]], None], ended: Callable[[Stream], None]
    ) -> Stream:
        """Ask for a stream on a connection of its own, beyond the limit; `hear` and `ended` as `Stream` says.

        Raises:
            NoAnswer: nobody is there.
        """
        message = self._message(b"GET", path, headers)
        return await self._open(lambda: Stream(message, hear, ended))

    def _message(self, method: bytes, path: bytes, headers: bytes) -> bytes:
        return method + b" " + self._prefix + path + self._common + b"\r\n" + headers + b"\r\n"

    async def _open(self, make: Callable[[], Opened]) -> Opened:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, connection = await loop.create_connection(
                    make,
                    self._host,
                    self._port,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls else None,
                )
        except (OSError, TimeoutError):
            raise NoAnswer("unreachable") from None
        return connection

    def forget(self, connection: _Connection) -> None:
        """A connection was closed from the other side."""
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Hang up everywhere."""
        while self._idle:
            self._idle.pop().close()
