"""Two replicas behind each proxy, one of them killed: nobody loses their place or their visit, and hardly anybody notices."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.proxies.conftest import PROXIES
from tests.proxies.world import FORM, PAGE, Visitor, World, guarded_site
from tests.support.waiting import eventually

HOLDERS, WAITING = 2, 3
ENDPOINT = "              - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}"
SECOND = {
    "nginx": ("server 127.0.0.1:3000 ", "server 127.0.0.1:3002; server 127.0.0.1:3000 "),
    "caddy": ("127.0.0.1:3000", "127.0.0.1:3000 127.0.0.1:3002"),
    "haproxy": ("# server replica2 …: a line for each replica", "server replica2 127.0.0.1:3002"),
    "envoy": (ENDPOINT % 3000, f"{ENDPOINT % 3002}\n{ENDPOINT % 3000}"),
    "traefik": (
        '- url: "http://127.0.0.1:3000"',
        '- url: "http://127.0.0.1:3002"\n          - url: "http://127.0.0.1:3000"',
    ),
}
"""How each example names a second replica."""


@pytest.fixture(params=PROXIES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Turns for as many as are to hold passes; whoever comes later waits."""
    with ExitStack() as stack:
        pace = {"WINDOW_SIZE": str(HOLDERS), "WINDOW_INTERVAL": "3600"}
        yield guarded_site(stack, request.param, tmp_path, [SECOND[request.param]], replicas=2, **pace)


class Asking(threading.Thread):
    """Somebody who asks again and again, as a page does; put off by a 503, they try again."""

    def __init__(self, ask: Callable[[], httpx.Response], expected: object) -> None:
        super().__init__(daemon=True)
        self._ask, self._expected = ask, expected
        self._over = threading.Event()
        self.answers = 0
        self.put_off: list[str] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        while not self._over.wait(0.02):
            try:
                answer = self._ask()
                if answer.status_code == 503:
                    assert int(answer.headers["retry-after"]) > 0
                    self.put_off.append(answer.text)
                    continue
                assert answer.status_code == 200, f"{answer.status_code} {answer.headers} {answer.text}"
                told = answer.json()["position"] if answer.headers["content-type"].endswith("json") else answer.text
                assert told == self._expected
                self.answers += 1
            except BaseException as error:
                self.failure = error
                return

    def stop(self) -> None:
        self._over.set()
        self.join(30)


def _join(visitor: Visitor) -> int:
    joined = visitor.post(f"{PAGE}/join", headers=FORM, content=b"")
    assert joined.status_code == 303, joined.text
    position: int = visitor.get(f"{PAGE}/status").json()["position"]
    return position


def _polls(visitor: Visitor) -> Callable[[], httpx.Response]:
    return lambda: visitor.get(f"{PAGE}/status")


def _visits(visitor: Visitor) -> Callable[[], httpx.Response]:
    return lambda: visitor.get("/shop")


async def test_nobody_loses_anything_when_one_of_two_replicas_is_killed(world: World) -> None:
    crowd: list[Asking] = []
    for _ in range(HOLDERS):
        holder = world.visitor()
        assert holder.enter().text == "welcome"
        crowd.append(Asking(_visits(holder), "welcome"))
    places = set()
    for _ in range(WAITING):
        waiting = world.visitor()
        place = _join(waiting)
        places.add(place)
        crowd.append(Asking(_polls(waiting), place))
    assert places == set(range(HOLDERS + 1, HOLDERS + WAITING + 1))

    async def all_are_answered(more: int) -> None:
        goals = [asking.answers + more for asking in crowd]

        def reached() -> bool:
            for asking in crowd:
                if asking.failure is not None:
                    raise asking.failure
            return all(asking.answers >= goal for asking, goal in zip(crowd, goals, strict=True))

        await eventually(reached, within_s=30)

    for asking in crowd:
        asking.start()
    try:
        await all_are_answered(10)
        world.room.kill(0)
        await all_are_answered(30)
        newcomer = world.visitor()
        assert newcomer.get("/shop").status_code == 302
        assert _join(newcomer) > max(places), "who comes now gets a place of their own"
    finally:
        for asking in crowd:
            asking.stop()
    put_off = [asking.put_off for asking in crowd]
    assert all(len(answers) <= 1 for answers in put_off), (
        f"more than was under way at that moment was put off: {put_off}"
    )
