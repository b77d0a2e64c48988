"""Two replicas behind each proxy, one of them killed or hung: nobody loses their place or their visit, and hardly anybody notices."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

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


class Crowd:
    """Some who are inside and some who wait; within the block of a test all of them ask all the time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.last = 0
        """The last place in line that was taken."""
        self._members: list[tuple[Callable[[], httpx.Response], object]] = []
        self._asking: list[Asking] = []
        for _ in range(HOLDERS):
            holder = world.visitor()
            assert holder.enter().text == "welcome"
            self._members.append((partial(holder.get, "/shop"), "welcome"))
        for _ in range(WAITING):
            waiting = world.visitor()
            place = self.join(waiting)
            self._members.append((partial(waiting.get, f"{PAGE}/status"), place))

    def join(self, visitor: Visitor) -> int:
        """Take a place after everybody else's."""
        joined = visitor.post(f"{PAGE}/join", headers=FORM, content=b"")
        assert joined.status_code == 303, joined.text
        position: int = visitor.get(f"{PAGE}/status").json()["position"]
        assert position > self.last
        self.last = position
        return position

    def __enter__(self) -> "Crowd":
        self._asking = [Asking(ask, expected) for ask, expected in self._members]
        for asking in self._asking:
            asking.start()
        return self

    def __exit__(self, *_: object) -> None:
        for asking in self._asking:
            asking.stop()

    async def is_answered(self, more: int) -> None:
        """Everybody gets so many more answers, each the one that they are due."""
        goals = [asking.answers + more for asking in self._asking]

        def reached() -> bool:
            return any(asking.failure for asking in self._asking) or all(
                asking.answers >= goal for asking, goal in zip(self._asking, goals, strict=True)
            )

        await eventually(reached, within_s=60)
        for asking in self._asking:
            if asking.failure is not None:
                raise asking.failure

    async def is_answered_by(self, number: int) -> None:
        """That replica has its share of the questions."""
        room = self.world.room
        before = room.asked(number)
        await eventually(lambda: room.asked(number) >= before + 5, within_s=30, every_s=0.2)

    @property
    def put_off(self) -> list[list[str]]:
        """What those read who were put off."""
        return [asking.put_off for asking in self._asking]


@pytest.fixture(params=PROXIES, scope="module")
def crowd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    """Turns for as many as are to hold passes; whoever comes later waits."""
    with ExitStack() as stack:
        pace = {"WINDOW_SIZE": str(HOLDERS), "WINDOW_INTERVAL": "3600"}
        folder = tmp_path_factory.mktemp(request.param)
        yield Crowd(guarded_site(stack, request.param, folder, [SECOND[request.param]], replicas=2, **pace))


async def test_nobody_loses_anything_when_one_of_two_replicas_is_killed(crowd: Crowd) -> None:
    with crowd:
        for number in (0, 1):
            await crowd.is_answered_by(number)
        crowd.world.room.kill(0)
        try:
            await crowd.is_answered(30)
            newcomer = crowd.world.visitor()
            assert newcomer.get("/shop").status_code == 302
            crowd.join(newcomer)
        finally:
            crowd.world.room.start_replica(0)
    told = crowd.put_off
    assert all(len(answers) <= 1 for answers in told), f"more than was under way at that moment was put off: {told}"


async def test_nobody_loses_anything_while_one_of_two_replicas_hangs(crowd: Crowd) -> None:
    with crowd:
        for number in (0, 1):
            await crowd.is_answered_by(number)
        crowd.world.room.freeze(0)
        try:
            await crowd.is_answered(5)
        finally:
            crowd.world.room.thaw(0)
