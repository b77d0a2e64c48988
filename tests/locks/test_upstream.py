"""Forwarding under the lock: what travels, what does not, and what happens when the upstream fails."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.errors import InvalidInput, UpstreamUnavailable
from app.locks.upstream import Outgoing, Upstream, forwardable
from tests.conftest import make_settings
from tests.support.apps import running_app
from tests.support.servers import RealServer, free_port
from tests.support.upstreams import running_upstream
from tests.support.waiting import SLACK_S, eventually


@pytest.mark.parametrize(
    ("lock_id", "url"),
    [
        ("plain", "http://up/items/plain?v=1"),
        ("a/b?c#d", "http://up/items/a%2Fb%3Fc%23d?v=1"),
        ("../admin", "http://up/items/..%2Fadmin?v=1"),
        ("%2e%2e", "http://up/items/%252e%252e?v=1"),
        ("@host:80", "http://up/items/%40host%3A80?v=1"),
        ("{id}", "http://up/items/%7Bid%7D?v=1"),
        ("\r\nX: y", "http://up/items/%0D%0AX%3A%20y?v=1"),
    ],
)
async def test_an_id_stays_one_part_of_the_path(lock_id: str, url: str) -> None:
    upstream = Upstream("http://up/items/{id}?v=1", 1)
    assert str(upstream.url(lock_id)) == url
    assert str(upstream.url(lock_id, b"w=2")) == url + "&w=2"
    await upstream.aclose()


async def test_dots_that_would_change_the_path_are_refused() -> None:
    upstream = Upstream("http://up/items/{id}", 1)
    for lock_id in (".", ".."):
        with pytest.raises(InvalidInput):
            upstream.url(lock_id)
    await upstream.aclose()


def test_headers_of_one_hop_stay_behind() -> None:
    given = [(b"Connection", b"close, X-Hop"), (b"X-Hop", b"1"), (b"TE", b"gzip"), (b"Accept", b"*/*"), (b"X", b"y")]
    assert forwardable(given) == [(b"accept", b"*/*"), (b"x", b"y")]


async def test_everything_travels_but_our_token(server: RealServer) -> None:
    seen: dict[str, object] = {}

    async def handler(request: Request) -> Response:
        seen.update(request.headers)
        seen["line"] = f"{request.method} {request.scope['raw_path'].decode()}?{request.url.query}"
        seen["body"] = await request.body()
        headers = {"X-Answer": "42", "ETag": '"v"', "Connection": "X-Secret-Hop", "X-Secret-Hop": "1"}
        response = Response(b"made", 201, headers=headers)
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    with running_upstream(handler) as url:
        settings = make_settings(
            redis_url=server.url,
            open_routes="",
            lock_token="a-token-for-locks",
            lock_upstream_url=url + "/items/{id}",
        )
        async with running_app(settings) as (client, _):
            answer = await client.patch(
                "/request/a%2Fb?colour=red",
                content=b"\x00\x01",
                headers={
                    "Authorization": "Bearer a-token-for-locks",
                    "Content-Type": "application/octet-stream",
                    "X-Fence": "999",
                    "X-Request-Id": "order-17",
                    "Cookie": "c=3",
                },
            )
            assert answer.status_code == 201
            assert answer.content == b"made"
            assert answer.headers["x-answer"] == "42"
            assert "x-secret-hop" not in answer.headers
            assert answer.headers.get_list("set-cookie") == ["a=1; Path=/; SameSite=lax", "b=2; Path=/; SameSite=lax"]
            assert seen["line"] == "PATCH /items/a%2Fb?colour=red"
            assert seen["body"] == b"\x00\x01"
            assert seen["x-fence"] == answer.headers["x-fence"] != "999"
            assert seen["x-request-id"] == "order-17"
            assert seen["cookie"] == "c=3"
            assert "authorization" not in seen

            keeps = {"Proxy-Authorization": "Bearer a-token-for-locks", "Authorization": "Basic dTpw"}
            await client.get("/request/c", headers=keeps)
            assert seen["authorization"] == "Basic dTpw"
            assert "proxy-authorization" not in seen


async def test_bodies_are_streamed_both_ways(server: RealServer) -> None:
    async def handler(request: Request) -> Response:
        chunks = [chunk async for chunk in request.stream()]

        async def echo() -> AsyncIterator[bytes]:
            for chunk in chunks:
                yield chunk

        return StreamingResponse(echo())

    async def upload() -> AsyncIterator[bytes]:
        for number in range(40):
            yield bytes([number]) * 50_000

    with running_upstream(handler) as url:
        settings = make_settings(redis_url=server.url, lock_upstream_url=url + "/{id}")
        async with running_app(settings) as (client, _):
            answer = await client.put("/request/x", content=upload(), headers={"Content-Type": "application/json"})
    assert answer.content == b"".join([bytes([number]) * 50_000 for number in range(40)])


async def test_redirects_are_the_callers_to_follow(server: RealServer) -> None:
    async def handler(_: Request) -> Response:
        return Response(status_code=302, headers={"Location": "http://elsewhere.example/"})

    with running_upstream(handler) as url:
        settings = make_settings(redis_url=server.url, lock_upstream_url=url + "/{id}")
        async with running_app(settings) as (client, _):
            answer = await client.get("/request/x")
    assert answer.status_code == 302
    assert answer.headers["location"] == "http://elsewhere.example/"


async def test_an_upstream_that_is_down_is_a_503_and_frees_the_lock(server: RealServer) -> None:
    settings = make_settings(redis_url=server.url, lock_upstream_url=f"http://127.0.0.1:{free_port()}/{{id}}")
    async with running_app(settings) as (client, _):
        for path in ("/request/x", "/lock?id=x"):
            answer = await client.get(path)
            assert answer.status_code == 503
            assert answer.json()["type"] == "urn:stanchion:problem:upstream-unavailable"
            assert not (await client.get("/locks/x")).json()["held"]


@pytest.mark.parametrize("status", [101, 600, 999])
async def test_a_status_that_http_does_not_have_is_not_passed_on(status: int) -> None:
    upstream = Upstream("http://up/{id}", 1, httpx.MockTransport(lambda _: httpx.Response(status)))
    outgoing = Outgoing("GET", "x", b"", [], None, 1, "a-request")
    with pytest.raises(UpstreamUnavailable, match=str(status)):
        async with upstream.asked(outgoing):
            pass


async def test_an_upstream_that_is_silent_is_a_504_of_its_own_kind(server: RealServer) -> None:
    async def handler(_: Request) -> Response:
        await asyncio.sleep(5)
        return Response()

    with running_upstream(handler) as url:
        settings = make_settings(redis_url=server.url, lock_upstream_url=url + "/{id}", lock_upstream_timeout=0.2)
        async with running_app(settings) as (client, _):
            answer = await client.get("/request/x")
    assert answer.status_code == 504
    assert answer.json()["type"] == "urn:stanchion:problem:upstream-timeout"


async def test_an_upstream_that_is_locked_itself_is_asked_again_within_the_wait(server: RealServer) -> None:
    bodies: list[bytes] = []

    async def handler(request: Request) -> Response:
        bodies.append(await request.body())
        return Response(b"done", 200 if len(bodies) == 3 else 423)

    with running_upstream(handler) as url:
        settings = make_settings(redis_url=server.url, lock_upstream_url=url + "/{id}")
        async with running_app(settings) as (client, _):
            answer = await client.post("/request/x", json={"a": 1})
            assert (answer.status_code, answer.content) == (200, b"done")
            assert bodies == [b'{"a":1}'] * 3
            bodies.clear()
            assert (await client.get("/lock?id=x")).status_code == 423


async def test_an_upstream_that_stays_locked_is_a_504(server: RealServer) -> None:
    async def handler(_: Request) -> Response:
        return Response(status_code=423)

    with running_upstream(handler) as url:
        settings = make_settings(redis_url=server.url, lock_upstream_url=url + "/{id}", lock_wait=0.3)
        async with running_app(settings) as (client, _):
            assert (await client.get("/request/x")).status_code == 504


async def test_the_upstream_never_sees_two_requests_for_one_id_at_once(server: RealServer) -> None:
    inside = 0

    async def handler(_: Request) -> Response:
        nonlocal inside
        inside += 1
        assert inside == 1
        await asyncio.sleep(0.01)
        inside -= 1
        return Response(b"x" * 100_000)

    with running_upstream(handler) as url:
        settings = make_settings(redis_url=server.url, lock_upstream_url=url + "/{id}")
        async with running_app(settings) as (client, _), running_app(settings) as (other, _):
            answers = await asyncio.gather(*((client, other)[n % 2].get("/request/x") for n in range(20)))
    assert {answer.status_code for answer in answers} == {200}


async def test_a_lost_lease_ends_the_call_before_the_next_holder_begins(own_server: RealServer) -> None:
    began = asyncio.Event()
    loop = asyncio.get_running_loop()
    hung_up_s: list[float] = []

    async def handler(request: Request) -> Response:
        loop.call_soon_threadsafe(began.set)
        while not await request.is_disconnected():
            await asyncio.sleep(0.01)
        hung_up_s.append(loop.time())
        return Response()

    with running_upstream(handler) as url:
        settings = make_settings(redis_url=own_server.url, lock_upstream_url=url + "/{id}", lock_lease=2.0)
        async with running_app(settings) as (client, _):
            asked_s = loop.time()
            call = asyncio.create_task(client.get("/request/x"))
            await began.wait()
            own_server.freeze()
            answer = await call
            await eventually(lambda: hung_up_s)
            own_server.thaw()
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:stanchion:problem:hold-aborted"
    assert loop.time() - asked_s < 2 + SLACK_S
