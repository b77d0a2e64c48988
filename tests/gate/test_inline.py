"""Newcomers let straight in while there is room; crawlers, that keep no cookies, take nothing for long."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rooms.gate import GateBypass, RoomGate
from app.rooms.sessions import Session
from app.rooms.settings import IdentityRule
from app.web.gate.inline import MOST_PER_ADDRESS, Unconfirmed
from tests.gate.conftest import BROWSER, PROGRAM, Proxy
from tests.support.looks import change
from tests.support.waiting import eventually

OLD_BROWSER = {"Accept": "text/html,*/*;q=0.8"}


async def roomy(proxy: Proxy, places: int = 10, seconds: float = 60, **more: Any) -> None:
    """A room that takes so many at once, and gives newcomers so long to come back."""
    gate = RoomGate(inline_seconds=seconds, bypass=GateBypass(paths=("/assets/",)))
    await change(proxy.services, "default", **({"max_active": places, "gate": gate} | more))


def cookie_of(answer: Any) -> dict[str, str]:
    """What a browser sends with its next request."""
    return {**BROWSER, "Cookie": answer.headers["set-cookie"].partition(";")[0]}


async def sessions(proxy: Proxy) -> int:
    return (await proxy.services.operator.sessions("default")).sessions


async def test_with_capacity_to_spare_nobody_sees_a_queue(proxy: Proxy) -> None:
    await roomy(proxy)
    answer = await proxy.ask("/")
    assert (answer.status_code, answer.headers["x-waiting-room"]) == (200, "inline")
    assert answer.headers["x-waiting-room-session"].endswith("-1")
    assert answer.headers["set-cookie"].startswith("__Host-stanchion-pass-default=")
    assert answer.headers["cache-control"] == "no-store"


async def test_the_cookie_that_comes_back_makes_the_session_a_whole_one(proxy: Proxy) -> None:
    await roomy(proxy, seconds=30)
    first = await proxy.ask("/")
    second = await proxy.ask("/seats", headers=cookie_of(first))
    assert second.headers["x-waiting-room"] == "pass"
    assert second.headers["x-waiting-room-session"] == first.headers["x-waiting-room-session"]
    age_s = int(second.headers["set-cookie"].partition("Max-Age=")[2].partition(";")[0])
    assert 900 <= age_s <= 901
    page = await proxy.services.operator.sessions("default")
    assert page.page[0].ends_ms - page.page[0].started_ms >= 900_000
    third = await proxy.ask("/seats", headers=cookie_of(second))
    assert third.headers["x-waiting-room"] == "pass"
    assert "set-cookie" not in third.headers


async def test_one_that_never_comes_back_gives_its_slot_up_by_itself(proxy: Proxy) -> None:
    await roomy(proxy, places=1, seconds=5)
    assert (await proxy.ask("/")).status_code == 200
    assert (await proxy.ask("/")).status_code == 302

    async def again() -> bool:
        return (await proxy.ask("/")).status_code == 200

    await eventually(again, within_s=20)


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", PROGRAM),
        ("HEAD", BROWSER),
        ("POST", BROWSER),
        ("GET", {**BROWSER, "Sec-Fetch-Dest": "iframe"}),
        ("GET", {**BROWSER, "Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors"}),
        ("GET", {**BROWSER, "Sec-Purpose": "prefetch"}),
        ("GET", {**OLD_BROWSER, "Purpose": "prefetch"}),
        ("GET", {**BROWSER, "Upgrade": "websocket"}),
        ("GET", {**BROWSER, "X-Original-URI": "/elsewhere"}),
        ("OPTIONS", OLD_BROWSER),
    ],
)
async def test_only_somebody_opening_a_page_is_let_straight_in(
    proxy: Proxy, method: str, headers: dict[str, str]
) -> None:
    await roomy(proxy)
    answer = await proxy.ask("/", method, headers=headers)
    assert answer.status_code != 200
    assert (await proxy.ask("/", method, mode="refuse", headers=OLD_BROWSER)).status_code != 200
    assert await sessions(proxy) == 0
    assert (await proxy.ask("/", headers=OLD_BROWSER)).status_code == 200, "a browser of some years ago is"


async def test_who_does_not_name_the_proxy_lets_nobody_in(proxy: Proxy) -> None:
    await roomy(proxy)
    from_elsewhere = proxy.client._transport
    from_elsewhere.client = ("192.0.2.1", 5000)  # type: ignore[attr-defined]
    assert (await proxy.ask("/")).status_code == 302


async def test_a_pages_assets_take_no_slots(proxy: Proxy) -> None:
    await roomy(proxy)
    for _ in range(20):
        assert (await proxy.ask("/assets/app.js", headers=PROGRAM)).headers["x-waiting-room"] == "bypass"
        assert (await proxy.ask("/image.png", headers=PROGRAM)).status_code == 429
    assert await sessions(proxy) == 0


async def test_while_somebody_waits_newcomers_stand_in_line_behind_them(proxy: Proxy) -> None:
    await roomy(proxy, places=1)
    joins = [(await proxy.client.post("/join")).json() for _ in range(2)]
    assert [join["status"] for join in joins] == ["active", "waiting"]
    room = proxy.services.rooms.get("default")
    await eventually(lambda: room.snapshot is not None and room.snapshot.waiting == 1)
    assert (await proxy.ask("/")).status_code == 302


async def test_when_the_last_slot_is_taken_the_line_begins(proxy: Proxy) -> None:
    await roomy(proxy, places=40)
    answers = await asyncio.gather(
        *(proxy.ask("/", headers=BROWSER | {"X-Forwarded-For": f"198.51.100.{i}"}) for i in range(100))
    )
    let_in = [answer for answer in answers if answer.status_code == 200]
    assert len(let_in) == 8, "a fifth of maxActive, until some have come back"
    for answer in let_in:
        assert (await proxy.ask("/x", headers=cookie_of(answer))).headers["x-waiting-room"] == "pass"
    for i in range(100):
        answer = await proxy.ask("/", headers=BROWSER | {"X-Forwarded-For": f"203.0.113.{i}"})
        if answer.status_code == 200:
            await proxy.ask("/x", headers=cookie_of(answer))
    assert await sessions(proxy) == 40


@pytest.mark.parametrize("verb", ["close", "pause", "drain"])
async def test_a_room_that_is_not_open_lets_nobody_in(proxy: Proxy, verb: str) -> None:
    await roomy(proxy)
    room = proxy.services.rooms.get("default")
    version = room.snapshot.version if room.snapshot else 0
    await proxy.services.operator.control("default", verb, "test")
    await eventually(lambda: room.snapshot is not None and room.snapshot.version > version)
    assert (await proxy.ask("/")).status_code == 302


async def test_a_room_that_asks_who_joins_leaves_that_to_its_page(proxy: Proxy) -> None:
    await roomy(proxy, identity=IdentityRule.OPTIONAL, identity_secret="an-identity-key-that-is-long-enough-for-it")
    assert (await proxy.ask("/")).status_code == 302


async def test_who_stands_in_line_already_is_not_let_in_a_second_time(proxy: Proxy) -> None:
    await roomy(proxy)
    ticket = (await proxy.client.post("/join")).json()["token"]
    held = {**BROWSER, "Cookie": f"stanchion-ticket-default={ticket}"}
    assert (await proxy.ask("/", headers=held)).status_code == 302, "its page takes the turn up"
    rubbish = {**BROWSER, "Cookie": "stanchion-ticket-default=rubbish"}
    assert (await proxy.ask("/", headers=rubbish)).status_code == 200


async def test_a_crowd_of_crawlers_takes_few_slots_and_none_for_long(proxy: Proxy) -> None:
    await roomy(proxy, places=50, seconds=1)
    peak = 0
    for wave in range(5):
        answers = await asyncio.gather(
            *(proxy.ask(f"/page/{i}", headers=OLD_BROWSER | _from(wave, i)) for i in range(200))
        )
        assert {answer.status_code for answer in answers} <= {200, 302}
        peak = max(peak, await sessions(proxy))
    assert 0 < peak <= 20, "a fifth of the room at a time; the store may still hold those that have just ended"

    async def gone() -> bool:
        return await sessions(proxy) == 0

    await eventually(gone)

    async def person_is_let_in() -> bool:  # once this replica has seen it as well
        return (await proxy.ask("/", headers=BROWSER)).headers.get("x-waiting-room") == "inline"

    await eventually(person_is_let_in)


async def test_one_address_has_few_unconfirmed_sessions_at_a_time(proxy: Proxy) -> None:
    await roomy(proxy, places=100)
    answers = [await proxy.ask("/") for _ in range(MOST_PER_ADDRESS + 3)]
    assert [answer.status_code for answer in answers] == [200] * MOST_PER_ADDRESS + [302] * 3
    assert (await proxy.ask("/x", headers=cookie_of(answers[0]))).headers["x-waiting-room"] == "pass"
    assert (await proxy.ask("/")).status_code == 200, "one came back, so another may come"
    other = BROWSER | {"X-Forwarded-For": "203.0.113.77"}
    assert (await proxy.ask("/", headers=other)).status_code == 200


async def test_a_room_of_batches_lets_in_behind_its_edge(proxy: Proxy) -> None:
    # window_size 3: the edge starts at 3, and whoever joins behind it has a turn at once
    answers = [await proxy.ask("/", headers=BROWSER | {"X-Forwarded-For": f"198.51.100.{i}"}) for i in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 302, 302]


@pytest.mark.parametrize(("how", "again", "joined"), [("end", 200, 200), ("revoke", 302, 403)])
async def test_who_was_let_straight_in_and_revoked_gets_in_no_more_by_the_pass_that_shows_it(
    proxy: Proxy, how: str, again: int, joined: int
) -> None:
    await roomy(proxy)
    let_in = await proxy.ask("/")
    cookie = cookie_of(let_in)
    token = cookie["Cookie"].partition("=")[2]
    ended = await proxy.client.post(
        "/gate/default/end", headers={"X-Waiting-Room-Pass": token, "X-Waiting-Room-End": how}
    )
    assert ended.status_code == 204
    join = {**cookie, "X-Forwarded-Proto": "https", "Accept": "application/json"}
    answer = await proxy.client.post("/rooms/default/join", headers=join)
    assert answer.status_code == joined
    assert (await proxy.ask("/", headers=cookie)).status_code == again
    stranger = await proxy.ask("/")
    assert (stranger.status_code, stranger.headers["x-waiting-room"]) == (200, "inline"), "without it nobody is known"


class _Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_s(self) -> float:
        return self.now_s


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["keep", "fail", "confirm", "later"])), max_size=60))
def test_the_bounds_hold_whatever_comes(steps: list[tuple[str, str]]) -> None:
    clock = _Clock()
    held = Unconfirmed(clock)
    places: list[tuple[int, int]] = []
    for number, (address, step) in enumerate(steps):
        if step == "later":
            clock.now_s += 7
        elif step == "confirm" and places:
            held.confirmed(places.pop())
        elif held.has_room(address, 8):
            held.begin(address)
            session = None if step == "fail" else Session(1, number, 0, 0, 10_000, 0)
            held.begun(address, session, 10)
            if session is not None:
                places.append((1, number))
        assert len(held.places()) <= 8
        by_address = [known.address for known in held._by_place.values()]
        assert held._by_address == {name: by_address.count(name) for name in set(by_address)}
        assert all(count <= MOST_PER_ADDRESS for count in held._by_address.values())


def _from(wave: int, number: int) -> dict[str, str]:
    return {"X-Forwarded-For": f"10.{wave}.{number}.1"}
