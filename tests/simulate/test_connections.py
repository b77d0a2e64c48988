"""The player's own HTTP client: few connections for many visitors, and a clear word for everything that goes wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from app.errors import InvalidInput
from app.simulate.crowd.connections import LARGEST_ANSWER, Connections, NoAnswer
from tests.support.waiting import eventually

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRetry-After: 3\r\nX-Other: 1\r\nset-cookie: a=b; Path=/\r\nSet-Cookie: c=d\r\n\r\nhi"


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    """A server that does just this with each connection."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def always(*answers: bytes) -> Serve:
    """Answers each request with the next of these, the last one for ever."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = list(answers)
        try:
            while True:
                await read_request(reader)
                writer.write(left.pop(0) if len(left) > 1 else left[0])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return serve


async def test_an_answer_comes_with_the_headers_that_matter() -> None:
    async with serving(always(ANSWER)) as url:
        pool = Connections(url, 1)
        answer = await pool.request(b"GET", b"/status")
        assert (answer.status, answer.body) == (200, b"hi")
        assert answer.headers == {b"retry-after": b"3"}
        assert answer.cookies == (b"a=b", b"c=d")
        pool.close()


async def test_a_body_in_pieces_is_put_together() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    async with serving(always(chunked)) as url:
        pool = Connections(url, 1)
        assert (await pool.request(b"GET", b"/")).body == b"hello"
        assert (await pool.request(b"GET", b"/")).body == b"hello"
        pool.close()


async def test_the_path_prefix_the_host_and_the_headers_are_sent() -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(ANSWER)
        writer.close()

    async with serving(serve) as url:
        pool = Connections(f"{url}/queue/", 1)
        await pool.request(b"POST", b"/join", b"Idempotency-Key: k\r\n")
        host = url.removeprefix("http://").encode()
        assert seen == [
            b"POST /queue/join HTTP/1.1\r\nHost: " + host + b"\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n"
        ]
        pool.close()


async def test_many_visitors_share_few_connections() -> None:
    open_now = most = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await always(ANSWER)(reader, writer)
        open_now -= 1

    async with serving(serve) as url:
        pool = Connections(url, 5)
        answers = await asyncio.gather(*(pool.request(b"GET", b"/") for _ in range(200)))
        assert len(answers) == 200
        assert most == 5
        pool.close()


async def test_a_kept_connection_that_was_closed_meanwhile_is_replaced_unnoticed() -> None:
    connections = 0

    async def one_answer_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(ANSWER)
        await writer.drain()
        await reader.read(1)  # a second request has begun: hang up without an answer
        writer.transport.abort()

    async with serving(one_answer_each) as url:
        pool = Connections(url, 1)
        assert (await pool.request(b"GET", b"/")).status == 200
        assert (await pool.request(b"GET", b"/")).status == 200
        assert connections == 2
        pool.close()


async def test_an_answer_that_announces_the_end_is_not_followed_by_another_on_its_connection() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await always(ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))(reader, writer)

    async with serving(serve) as url:
        pool = Connections(url, 1)
        for _ in range(3):
            await pool.request(b"GET", b"/")
        assert connections == 3
        pool.close()


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.read()
    finally:
        writer.close()


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.close()


@pytest.mark.parametrize(
    ("serve", "kind"),
    [
        (_say_nothing, "timeout"),
        (_hang_up, "cut-off"),
        (always(b"no HTTP at all\r\n\r\n"), "unreadable"),
        (always(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + bytes(LARGEST_ANSWER + 1)), "unreadable"),
    ],
    ids=["silence", "hang-up", "gibberish", "flood"],
)
async def test_what_goes_wrong_has_a_name_and_the_next_request_a_new_connection(serve: Serve, kind: str) -> None:
    connections = 0

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await serve(reader, writer)

    async with serving(counted) as url:
        pool = Connections(url, 1, timeout_s=0.3 if kind == "timeout" else 30)
        for number in (1, 2):
            with pytest.raises(NoAnswer) as failure:
                await pool.request(b"GET", b"/")
            assert failure.value.kind == kind
            await eventually(lambda number=number: connections == number)
        pool.close()


async def test_nobody_there_is_unreachable() -> None:
    async with serving(_hang_up) as url:
        pass
    with pytest.raises(NoAnswer, match="unreachable"):
        await Connections(url, 1).request(b"GET", b"/")


async def test_an_answer_to_somebody_who_was_cancelled_reaches_nobody_else() -> None:
    """The connection of a request that was given up is closed, so that its late answer cannot be taken for the next one's."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                path = (await read_request(reader)).split()[1]
                if path == b"/slow":
                    await reader.readexactly(1)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with serving(slow) as url:
        pool = Connections(url, 1)
        task = asyncio.ensure_future(pool.request(b"GET", b"/slow"))
        done, _ = await asyncio.wait({task}, timeout=0.1)
        assert not done
        task.cancel()
        assert (await pool.request(b"GET", b"/quick")).body == b"/quick"
        pool.close()


@pytest.mark.parametrize("url", ["localhost:3000", "ftp://x", "http://", "http://a:b", "http://a:99999", "http://a/?b"])
def test_a_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be used"):
        Connections(url, 1)
