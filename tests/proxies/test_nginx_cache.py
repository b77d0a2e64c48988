"""/serving from nginx's cache: the crowd's polls do not reach a replica."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.proxies.programs import Proxy
from tests.proxies.site import running_site
from tests.proxies.world import WaitingRoom
from tests.support.servers import free_port
from tests.support.upstreams import running_upstream
from tests.support.waiting import eventually

pytestmark = pytest.mark.needs("nginx")
SERVING = "/_queue/rooms/default/serving"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[WaitingRoom]:
    room = WaitingRoom(tmp_path / "room")
    room.start()
    yield room
    room.stop()


@pytest.fixture
def counted(room: WaitingRoom, tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """nginx's address, and the requests that reach the replica, seen by somebody in between."""
    asked: list[str] = []

    async def hand_on(request: Request) -> Response:
        asked.append(request.url.path)
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{room.port}{request.url.path}")
        kept = {name: answer.headers[name] for name in ("cache-control", "content-type")}
        return JSONResponse(answer.json(), answer.status_code, headers=kept)

    with ExitStack() as stack:
        between = free_port()
        stack.enter_context(running_upstream(hand_on, between))
        site = stack.enter_context(running_site())
        proxy = Proxy("nginx", tmp_path / "proxy", [between], site.port)
        stack.callback(proxy.stop)
        yield proxy.start().url, asked


async def test_a_crowd_that_asks_again_and_again_reaches_a_replica_once_a_second(
    counted: tuple[str, list[str]],
) -> None:
    url, asked = counted
    limits = httpx.Limits(max_connections=20)
    async with httpx.AsyncClient(base_url=url, trust_env=False, limits=limits, timeout=30) as crowd:
        first = await crowd.get(SERVING)
        assert first.json()["room"] == "default"
        assert first.headers["cache-control"] == "public, max-age=1"
        began_s = time.monotonic()
        seconds, answers = 0.0, 0
        while seconds < 2 or (
            answers <= 10 * len(asked) and seconds < 30
        ):  # until it was a crowd, on a busy machine, too
            answer = await crowd.get(SERVING)
            assert answer.status_code == 200
            seconds = time.monotonic() - began_s
            answers += 1
    # One a second, and one at either end.
    assert len(asked) <= seconds + 2, f"{len(asked)} of {answers} polls reached the replica in {seconds:.1f} s"
    assert answers > 10 * len(asked), f"{len(asked)} of {answers} polls reached the replica"


async def test_a_change_of_the_room_is_seen_through_the_cache_within_seconds(
    room: WaitingRoom, counted: tuple[str, list[str]]
) -> None:
    url, _ = counted
    with httpx.Client(trust_env=False, timeout=30) as client:
        before = client.get(url + SERVING).json()["last"]
        await eventually(lambda: client.post(f"{room.url}/join").status_code == 200)
        await eventually(lambda: client.get(url + SERVING).json()["last"] > before)


async def test_while_no_replica_answers_the_crowd_sees_the_last_state(
    room: WaitingRoom, counted: tuple[str, list[str]]
) -> None:
    url, asked = counted
    before = httpx.get(url + SERVING, trust_env=False).json()
    room.kill()
    # The one in between now answers 500, which is what nginx holds back.
    answer = httpx.get(url + SERVING, trust_env=False)
    while len(asked) < 2:
        answer = httpx.get(url + SERVING, trust_env=False)
    assert answer.status_code == 200
    assert answer.json()["last"] == before["last"]
