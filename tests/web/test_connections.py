"""What a connection may cost that never gets to the point: heads without an end, silence, and what is no HTTP."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import Mock

import pytest
import uvicorn
from uvicorn.server import ServerState

from app.settings import Settings
from app.web.connections import MAX_HEAD_BYTES, PATIENCE, Connection
from tests.support.live import live_app

REQUEST = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
UPLOAD = b"POST /task HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
READ = 4096

App = Callable[[Any, Any, Any], Awaitable[None]]


async def at_once(_: Any, __: Any, send: Any) -> None:
    """Answers without reading a body."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def after_the_body(scope: Any, receive: Any, send: Any) -> None:
    """Answers once it has read everything; a client that is gone gets nothing."""
    while (message := await receive())["type"] == "http.request" and message["more_body"]:
        pass
    if message["type"] == "http.request":
        await at_once(scope, receive, send)


async def never(_: Any, receive: Any, __: Any) -> None:
    """Works until the client goes."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Client:
    """The other end of one connection."""

    def __init__(self, app: App) -> None:
        config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None)
        config.load()
        self.got = b""
        self.closed = False
        self.transport = Mock(**{"get_extra_info.return_value": None})
        self.transport.write.side_effect = self._written
        self.transport.close.side_effect = self._close
        self.transport.is_closing.side_effect = lambda: self.closed
        self.connection = Connection(config, ServerState(), {})
        self.connection.connection_made(self.transport)

    def _written(self, data: bytes) -> None:
        self.got += data

    def _close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    async def send(self, data: bytes) -> None:
        for i in range(0, len(data), READ):
            if not self.closed:
                self.connection.data_received(data[i : i + READ])
                await turns()

    def statuses(self) -> list[int]:
        return [int(part[:3]) for part in self.got.split(b"HTTP/1.1 ")[1:]]

    async def looked_after(self, times: int) -> "Client":
        for _ in range(times):
            self.connection.look_after()
            await turns()
        return self


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "start", [b"GET /", b"GET / HTTP/1.1\r\nX-A: ", b"GET / HTTP/1.1\r\n"], ids=["address", "value", "headers"]
)
@pytest.mark.parametrize("before", [b"", REQUEST], ids=["first", "later"])
async def test_a_head_without_an_end_is_refused_and_the_connection_closed(start: bytes, before: bytes) -> None:
    client = Client(at_once)
    await client.send(before)
    piece = b"X-B: 1\r\n" if start.endswith(b"\n") else b"aaaaaaaa"
    await client.send(start + piece * (MAX_HEAD_BYTES // 4))
    assert client.statuses() == [204] * bool(before) + [431]
    assert client.closed
    head, _, body = client.got.rpartition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["status"] == 431


async def test_large_heads_and_larger_bodies_are_served() -> None:
    client = Client(after_the_body)
    await client.send(b"GET / HTTP/1.1\r\nX-A: " + b"a" * (MAX_HEAD_BYTES - 2 * READ) + b"\r\n\r\n")
    size = 4 * MAX_HEAD_BYTES
    upload = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size + b"b" * size
    await client.send(upload + upload + REQUEST)
    assert client.statuses() == [204] * 4
    assert not client.closed


async def test_an_endless_head_behind_an_answer_under_way_ends_the_connection_without_a_word() -> None:
    client = Client(never)
    await client.send(REQUEST + b"GET /" + b"a" * 2 * MAX_HEAD_BYTES)
    assert client.closed
    assert client.got == b""


@pytest.mark.parametrize("before", [b"", REQUEST], ids=["first", "later"])
@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01 nonsense\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=["tls", "path", "coding", "chunk", "two-lengths"],
)
async def test_what_is_no_http_gets_a_problem(nonsense: bytes, before: bytes) -> None:
    client = Client(after_the_body)
    await client.send(before)
    await client.send(nonsense)
    assert client.statuses() == [204] * bool(before) + [400]
    assert client.closed
    assert json.loads(client.got.rpartition(b"\r\n\r\n")[2])["detail"]


async def test_whoever_asks_for_an_upgrade_is_answered_without_one_and_asks_anew_for_more() -> None:
    client = Client(after_the_body)
    await client.send(b"POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n{}")
    assert client.statuses() == [204]
    assert b"connection: close" in client.got
    assert client.closed


@pytest.mark.parametrize("sent", [b"", b"GET /liv", UPLOAD, UPLOAD + b"12345"], ids=["nothing", "head", "body", "half"])
async def test_a_client_that_owes_something_and_is_silent_is_given_up(sent: bytes) -> None:
    client = Client(after_the_body)
    await client.send(sent)
    await client.looked_after(PATIENCE - 1)
    assert not client.closed
    await client.looked_after(2)
    assert client.closed
    assert client.got == b""


async def test_a_head_that_trickles_in_has_to_be_there_in_time_and_a_body_only_to_go_on() -> None:
    slow_head, slow_body = Client(at_once), Client(after_the_body)
    await slow_head.send(b"GET /")
    await slow_body.send(b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(2 * PATIENCE):
        await slow_head.send(b"a")
        await slow_body.send(b"b")
        await slow_head.looked_after(1)
        await slow_body.looked_after(1)
    assert slow_head.closed
    assert not slow_body.closed
    await slow_body.send(b"b" * (1000 - 2 * PATIENCE))
    assert slow_body.statuses() == [204]


@pytest.mark.parametrize("app", [never, at_once], ids=["working", "between-requests"])
async def test_whoever_waits_for_us_or_rests_between_two_requests_is_left_alone(app: App) -> None:
    client = Client(app)
    await client.send(REQUEST)
    await client.looked_after(3 * PATIENCE)
    assert not client.closed
    await client.send(REQUEST)
    assert client.statuses() == ([204, 204] if app is at_once else [])
    client.connection.timeout_keep_alive_handler()


async def test_the_service_speaks_through_such_connections(settings: Settings) -> None:
    async with live_app(settings) as live:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(live.url.rpartition(":")[2]))
        writer.write(b"GET /" + b"a" * 100_000)
        await writer.drain()
        writer.write(b"a" * 400_000)
        answer = await reader.read(1000)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 431 ")
