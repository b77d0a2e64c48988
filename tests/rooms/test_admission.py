"""Admission as visitors and operators meet it: limits that hold, slots that are handed on, sessions."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.services import Services
from tests.conftest import make_settings
from tests.support.apps import running_app, settled
from tests.support.servers import RealServer
from tests.support.waiting import SLACK_S, eventually

ADMIN = {"Authorization": "Bearer admin-token-for-tests", "X-Operator": "ada"}
ROOM = "/rooms/shop"


class Visitors:
    """A room and those who come to it."""

    def __init__(self, client: httpx.AsyncClient, services: Services) -> None:
        self.client = client
        self.services = services

    async def make(self, **settings: Any) -> None:
        made = await self.client.post("/admin/api/rooms", json={"room": "shop", "settings": settings}, headers=ADMIN)
        assert made.status_code == 201, made.text

    async def set(self, **settings: Any) -> None:
        changed = await self.client.patch("/admin/api/rooms/shop", json={"settings": settings}, headers=ADMIN)
        assert changed.status_code == 200, changed.text

    async def join(self, **headers: str) -> dict[str, Any]:
        joined = await self.client.post(f"{ROOM}/join", headers=headers)
        assert joined.status_code == 200, joined.text
        return joined.json()  # type: ignore[no-any-return]

    async def status(self, place: dict[str, Any]) -> dict[str, Any]:
        return (await self.client.get(f"{ROOM}/status", headers=bearer(place))).json()  # type: ignore[no-any-return]

    async def has_status(self, place: dict[str, Any], wanted: str, within_s: float = 10.0) -> None:
        async def told() -> bool:
            return bool((await self.status(place))["status"] == wanted)

        await eventually(told, within_s=within_s)

    async def post(self, verb: str, place: dict[str, Any]) -> httpx.Response:
        return await self.client.post(f"{ROOM}/{verb}", headers=bearer(place))

    async def state(self) -> dict[str, Any]:
        return (await self.client.get("/admin/api/rooms/shop", headers=ADMIN)).json()  # type: ignore[no-any-return]


def bearer(place: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {place['token']}"}


@pytest.fixture
async def shop(server: RealServer, patient_store: None) -> AsyncIterator[Visitors]:
    async with running_app(make_settings(redis_url=server.url, refresh_interval=0.05)) as (client, services):
        await eventually(lambda: settled(services))
        yield Visitors(client, services)
        with server.client() as direct:
            direct.flushall()


async def test_with_capacity_to_spare_nobody_waits(shop: Visitors) -> None:
    await shop.make(maxActive=3)
    places = [await shop.join() for _ in range(5)]
    assert [place["status"] for place in places] == ["active", "active", "active", "waiting", "waiting"]
    assert [place["position"] for place in places] == [1, 2, 3, 4, 5]


async def test_a_slot_that_is_left_goes_to_the_next_in_line(shop: Visitors) -> None:
    await shop.make(maxActive=1, claimSeconds=60)
    first, second, third = [await shop.join() for _ in range(3)]
    assert (await shop.post("enter", first)).status_code == 200
    await shop.has_status(first, "entered")
    assert (await shop.post("enter", second)).status_code == 409
    assert (await shop.post("leave", first)).status_code == 204
    entered = await shop.post("enter", second)  # no waiting: the leave handed the slot on
    assert entered.status_code == 200
    await shop.has_status(first, "ended")
    assert (await shop.post("enter", first)).json()["visitStatus"] == "ended"
    await shop.has_status(third, "waiting")


async def test_entering_twice_gives_the_same_session_and_renewing_prolongs_it(shop: Visitors) -> None:
    await shop.make(maxActive=1, sessionSeconds=100, maxSessionSeconds=150)
    place = await shop.join()
    once, again = (await shop.post("enter", place)).json(), (await shop.post("enter", place)).json()
    assert {name: once[name] for name in ("sessionId", "startedAt", "endsAt")} == {
        name: again[name] for name in ("sessionId", "startedAt", "endsAt")
    }
    renewed = (await shop.post("renew", place)).json()
    assert renewed["endsAt"] >= once["endsAt"]
    assert renewed["endsAt"] <= renewed["renewableUntil"]


async def test_a_turn_not_taken_up_passes_to_the_next_in_line(shop: Visitors) -> None:
    await shop.make(maxActive=1, claimSeconds=1)
    first = await shop.join()
    await shop.set(claimSeconds=8)  # for whoever's turn comes next, however late somebody looks
    second = await shop.join()
    await shop.has_status(second, "active")
    await shop.has_status(first, "expired")
    assert (await shop.post("enter", first)).status_code == 410


async def test_the_end_of_a_session_frees_its_slot(shop: Visitors) -> None:
    await shop.make(maxActive=1, sessionSeconds=1)
    first, second = await shop.join(), await shop.join()
    assert (await shop.post("enter", first)).status_code == 200
    await shop.has_status(second, "active")
    await shop.has_status(first, "ended")
    assert (await shop.post("renew", first)).status_code == 410


async def test_a_rate_lets_in_smoothly_after_its_burst(shop: Visitors) -> None:
    await shop.make(ratePerMinute=600, rateBurst=2)
    started = time.monotonic()
    places = [await shop.join() for _ in range(7)]
    assert [place["status"] for place in places[:2]] == ["active", "active"]
    await shop.has_status(places[-1], "active")
    took_s = time.monotonic() - started
    assert took_s >= 5 / 10 - 0.1, "five beyond the burst, ten a second"
    state = await shop.state()
    assert state["edge"] == 7


async def test_batches_and_a_cap_hold_together(shop: Visitors) -> None:
    await shop.make(batches=True, windowSize=2, windowIntervalSeconds=600, maxActive=3, claimSeconds=60)
    places = [await shop.join() for _ in range(6)]
    assert [place["status"] for place in places] == ["active", "active", *["waiting"] * 4]
    await shop.set(windowIntervalSeconds=0.3)
    await shop.has_status(places[2], "active")
    assert (await shop.state())["active"] == 3
    assert (await shop.status(places[3]))["status"] == "waiting"


async def test_max_waiting_refuses_who_would_wait_too_long(shop: Visitors) -> None:
    await shop.make(maxActive=1, maxWaiting=2)
    answers = await asyncio.gather(*(shop.client.post(f"{ROOM}/join") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 409, 409]
    full = next(answer for answer in answers if answer.status_code == 409)
    assert full.json()["type"] == "urn:stanchion:problem:room-full"
    assert "retry-after" in full.headers


async def test_reject_speaks_in_the_operators_words(shop: Visitors) -> None:
    await shop.make(method="reject", rejectMessage="Sold out.", rejectStatus=410)
    refused = await shop.client.post(f"{ROOM}/join")
    assert (refused.status_code, refused.json()["detail"]) == (410, "Sold out.")


async def test_passthrough_lets_everyone_in(shop: Visitors) -> None:
    await shop.make(method="passthrough", maxActive=1)
    assert {(await shop.join())["status"] for _ in range(5)} == {"active"}


async def test_before_it_opens_visitors_gather_in_order(shop: Visitors) -> None:
    await shop.make(windowSize=2, windowIntervalSeconds=600, opensAt="2099-01-01T00:00:00Z")
    places = [await shop.join() for _ in range(3)]
    assert {place["status"] for place in places} == {"waiting"}
    assert (await shop.state())["gate"] == "opens-later"
    opens_at = time.time() + SLACK_S  # still to come when the room learns of it
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(opens_at)) + f".{int(opens_at % 1 * 1000):03}Z"
    await shop.set(opensAt=stamp)
    await shop.has_status(places[1], "active")
    assert time.time() >= opens_at - 0.05
    assert (await shop.status(places[2]))["status"] == "waiting"


async def test_a_cap_set_while_running_counts_who_is_inside(shop: Visitors) -> None:
    await shop.make(windowSize=3, windowIntervalSeconds=600)
    places = [await shop.join() for _ in range(5)]
    assert (await shop.post("enter", places[0])).status_code == 200
    await shop.set(maxActive=3)
    state = await shop.state()
    assert (state["sessions"], state["turns"]) == (1, 2)
    assert (await shop.post("enter", places[3])).status_code == 409
    await shop.set(maxActive=4)
    assert (await shop.post("enter", places[3])).status_code == 200
    await shop.post("leave", places[0])
    assert (await shop.post("enter", places[4])).status_code == 200


async def test_who_stops_asking_is_passed_over_and_may_come_back_to_the_front(shop: Visitors) -> None:
    await shop.make(maxActive=1, claimSeconds=60, passOver=True, passOverSeconds=60, graceSeconds=60)
    first, absent, third = [await shop.join() for _ in range(3)]
    room = shop.services.rooms.get("shop")
    with_client = shop.services.store.client
    await eventually(lambda: not room._sightings)
    written = room.snapshot
    await eventually(lambda: room.snapshot is not written)  # what was seen so far is in the store
    # The absent one is made to have been silent for long: their presence ran out.
    await with_client.zadd(room.keys["seen"], {str(absent["position"]): 1})
    await shop.post("leave", first)
    assert (await shop.post("enter", third)).status_code == 200
    await eventually(lambda: room.marks.get(absent["position"]))
    assert (await shop.status(absent))["status"] == "passed"
    await shop.has_status(absent, "waiting")
    await shop.post("leave", third)
    await shop.has_status(absent, "active")
    assert (await shop.post("enter", absent)).status_code == 200


async def test_asking_keeps_a_visitor_present(shop: Visitors) -> None:
    await shop.make(maxActive=1, claimSeconds=60, passOver=True, passOverSeconds=60)
    first, second = await shop.join(), await shop.join()
    room = shop.services.rooms.get("shop")
    await shop.services.store.client.zadd(room.keys["seen"], {str(second["position"]): 1})

    async def written() -> bool:
        await shop.status(second)
        score = await shop.services.store.client.zscore(room.keys["seen"], str(second["position"]))
        return bool(score and score > 1000)

    await eventually(written)
    await shop.post("leave", first)
    assert (await shop.post("enter", second)).status_code == 200


async def test_the_estimate_is_a_range_that_learns_from_the_line(shop: Visitors) -> None:
    await shop.make(ratePerMinute=600, rateBurst=1)
    places = await asyncio.gather(*(shop.join() for _ in range(40)))
    last = max(places, key=lambda place: place["position"])
    assert last["estimatedWaitLowSeconds"] <= last["estimatedWaitSeconds"] <= 5
    assert last["estimatedWaitHighSeconds"] is None, "nothing has moved yet: no promise about the late side"
    await shop.has_status(last, "active")
    assert (await shop.status(last))["estimatedWaitHighSeconds"] == 0


async def test_who_waited_before_passing_over_was_turned_on_is_not_passed_over_for_it(shop: Visitors) -> None:
    await shop.make(maxActive=1, claimSeconds=60)
    first, second = await shop.join(), await shop.join()
    await shop.set(passOver=True, passOverSeconds=60)
    await shop.post("leave", first)
    assert (await shop.post("enter", second)).status_code == 200


async def test_a_poll_costs_the_store_nothing_in_a_room_with_every_limit(shop: Visitors) -> None:
    await shop.make(maxActive=1, ratePerMinute=60, batches=True, passOver=True, maxWaiting=9)
    first, second = await shop.join(), await shop.join()
    await shop.post("enter", first)
    trips = shop.services.metrics.round_trips.labels("request")._value
    before = trips.get()
    for place in (first, second) * 10:
        assert (await shop.status(place))["status"] in ("active", "entered", "waiting")
    assert trips.get() == before


async def test_a_visitor_whose_room_the_store_has_just_forgotten_is_held_not_sent_away(
    shop: Visitors, server: RealServer
) -> None:
    await shop.make(maxActive=2, claimSeconds=60)
    inside, on_turn = await shop.join(), await shop.join()
    assert (await shop.post("enter", inside)).status_code == 200
    with server.client() as direct:
        direct.flushall()
    held = await shop.post("enter", on_turn)
    assert (held.status_code, held.json()["type"]) == (503, "urn:stanchion:problem:joins-held")
    assert int(held.headers["retry-after"]) >= 1

    async def left() -> bool:
        return (await shop.post("leave", inside)).status_code == 204

    await eventually(left)  # held for a moment: a leaving that would be forgotten is not confirmed
    assert (await shop.post("enter", inside)).json()["visitStatus"] == "ended"
    assert (await shop.post("enter", on_turn)).status_code == 200
