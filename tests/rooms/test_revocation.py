"""An ended visit is remembered, by the store and by every replica, for as long as a pass that names it may live."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.rooms.marks import Marks
from app.rooms.room import Room
from app.rooms.settings import RoomSettings
from app.services import Services
from app.services.visits import Visitor
from app.store import keys
from app.tickets.passes import Pass
from tests.conftest import make_settings
from tests.support.apps import running_app
from tests.support.scripts import ScriptedRoom
from tests.support.servers import RealServer
from tests.support.waiting import SLACK_S, eventually

pytestmark = pytest.mark.usefixtures("patient_store")

HOUR_MS = 3_600_000


@pytest.fixture
def room(server: RealServer) -> Iterator[ScriptedRoom]:
    with server.client() as client:
        yield ScriptedRoom(client)
        client.flushall()


def declared(room: ScriptedRoom, **settings: Any) -> ScriptedRoom:
    room.declare(RoomSettings(**{"max_active": 1000, "claim_seconds": 1, **settings}))
    return room


def enter(room: ScriptedRoom, count: int) -> None:
    first = room.join(count)[3]
    for position in range(first, first + count):
        assert room.enter(1, position)[0] == 0


def remembered(room: ScriptedRoom) -> set[int]:
    """Whose visits the store knows to have ended."""
    room.tick()
    return {int(member) for member in room.client.zrange(room._keys["done"], 0, -1)}


def pass_away(room: ScriptedRoom, ms: int) -> None:
    """Time goes by, with somebody looking now and then."""
    until_ms = room.now_ms + ms
    while room.now_ms < until_ms:
        room.now_ms = min(until_ms, room.now_ms + 1000 if ms <= 10_000 else room.now_ms + 600_000)
        room.tick()


@pytest.mark.parametrize(
    ("session_s", "kept_ms"), [(900, HOUR_MS), (7200, 2 * HOUR_MS + 60_000), (604_800, 168 * HOUR_MS + 60_000)]
)
def test_an_ended_visit_is_remembered_while_its_pass_lives_and_an_hour_at_least(
    room: ScriptedRoom, session_s: int, kept_ms: int
) -> None:
    declared(room, session_seconds=session_s, max_session_seconds=604_800)
    enter(room, 1)
    pass_away(room, 3000)
    room.leave(1, 1)
    room.now_ms += kept_ms - 1
    assert remembered(room) == {1}
    room.now_ms += 2
    assert remembered(room) == set()


def test_shorter_sessions_from_now_on_do_not_shorten_the_memory_of_longer_ones(room: ScriptedRoom) -> None:
    declared(room, session_seconds=14_400)
    enter(room, 1)
    room.configure(RoomSettings(max_active=1000, claim_seconds=1, session_seconds=60))
    enter(room, 1)
    pass_away(room, 3000)
    room.leave(1, 1)
    room.now_ms += 4 * HOUR_MS - 1
    assert 1 in remembered(room)


def test_a_renewal_lengthens_the_memory_too(room: ScriptedRoom) -> None:
    declared(room, session_seconds=60, max_session_seconds=604_800)
    enter(room, 1)
    room.configure(RoomSettings(max_active=1000, claim_seconds=1, session_seconds=14_400, max_session_seconds=604_800))
    room.renew(1, 1)
    pass_away(room, 3000)
    room.leave(1, 1)
    room.now_ms += 4 * HOUR_MS - 1
    assert remembered(room) == {1}


def test_a_session_known_by_its_pass_alone_is_remembered_while_that_lives(room: ScriptedRoom) -> None:
    declared(room, session_seconds=60)
    room.join(1)
    passes = [1, room.now_ms + 4 * HOUR_MS]  # of a time with longer sessions, which the store has lost
    assert room.run("register", room._keys, {"epoch": 1, "passes": passes}) == [0, 1]
    room.leave(1, 1)
    pass_away(room, 3000)
    room.now_ms += 4 * HOUR_MS - 3000
    assert remembered(room) == {1}


def bounded(room: ScriptedRoom, most: int) -> None:
    room.fragments["most_done"] = f"local MOST_DONE = {most}\n"


def issued_s(room: ScriptedRoom) -> int:
    return room.now_ms // 1000


def test_beyond_the_bound_only_who_is_known_to_be_inside_counts(room: ScriptedRoom) -> None:
    bounded(room, 3)
    declared(room)
    enter(room, 10)
    early_s = issued_s(room)
    pass_away(room, 3000)
    for position in range(1, 7):
        room.now_ms += 10
        room.leave(1, position)
    assert remembered(room) == {4, 5, 6}
    room.marks = Marks()  # a replica that came later and never heard of the first three
    snapshot = room.tick()
    snapshot = room._look("tick", snapshot, {"heal_ms": 500, "late_ms": -1, "run_id": ""})
    assert snapshot.forgotten_ms > 0
    ended = {position for position in range(1, 11) if room.marks.ended(snapshot, position, early_s)}
    assert ended == {1, 2, 3, 4, 5, 6}
    room.now_ms += 2000
    assert not room.marks.ended(snapshot, 99, issued_s(room)), "who came in later is not suspected"


def test_a_replica_that_missed_what_was_forgotten_asks_anew_who_is_inside(room: ScriptedRoom) -> None:
    bounded(room, 2)
    declared(room)
    enter(room, 8)
    early_s = issued_s(room)
    pass_away(room, 3000)
    known = room.tick()
    absent, room.marks = room.marks, Marks()
    for position in range(1, 7):
        room.now_ms += 10
        room.leave(1, position)
    enter(room, 1)
    room.tick()
    room.marks = absent
    known = room.tick(known)
    assert not room.marks.complete
    known = room.tick(known)
    assert room.marks.complete
    assert {position for position in range(1, 10) if room.marks.ended(known, position, early_s)} == {1, 2, 3, 4, 5, 6}


def test_a_place_that_could_still_come_to_a_turn_is_never_forgotten(room: ScriptedRoom) -> None:
    bounded(room, 1)
    declared(room, max_active=1)
    room.join(5)
    for position in range(2, 6):
        room.leave(1, position)
    assert remembered(room) == {2, 3, 4, 5}


@asynccontextmanager
async def replica(server: RealServer, **settings: Any) -> AsyncIterator[tuple[Services, Room]]:
    """One more replica, with the room `default`."""
    made = make_settings(redis_url=server.url, window_size=5000, refresh_interval=0.05, **settings)
    async with running_app(made) as (_, services):
        room = services.rooms.get("default")
        await eventually(lambda: services.has_snapshot and not room.snapshot.healing)  # type: ignore[union-attr]
        yield services, room


@pytest.fixture(autouse=True)
def cleared(server: RealServer) -> Iterator[None]:
    yield
    with server.client() as client:
        client.flushall()


async def inside(services: Services, room: Room) -> Pass:
    joined = await services.visits.join(room, None, None)
    assert joined is not None
    visitor = Visitor(joined.ticket.epoch, joined.ticket.position, joined.ticket.active_until_run_ms)
    return (await services.visits.enter(room, visitor)).issued.claims


def counts(room: Room, claims: Pass) -> bool:
    return room.counts(claims.epoch, claims.position, claims.issued_s, claims.expires_s)


def ended_by_operator(services: Services, claims: Pass) -> Any:
    return services.operator.end("default", [claims.position], "ada")


def left(services: Services, claims: Pass) -> Any:
    return services.visits.leave(services.rooms.get("default"), Visitor(claims.epoch, claims.position))


def reset(services: Services, _: Pass) -> Any:
    return services.operator.control("default", "reset", "ada")


@pytest.mark.parametrize("end", [ended_by_operator, left, reset])
async def test_whatever_ends_a_visit_is_known_to_every_replica_within_a_second(
    server: RealServer, end: Callable[[Services, Pass], Any]
) -> None:
    async with replica(server) as (one, here), replica(server) as (_, there):
        ending, staying = await inside(one, here), await inside(one, here)
        await eventually(lambda: there.marks.get(staying.position), within_s=5 + SLACK_S)
        assert counts(there, ending)
        await end(one, ending)
        await eventually(lambda: not counts(there, ending), within_s=1 + SLACK_S)
        await eventually(lambda: not counts(here, ending), within_s=1 + SLACK_S)
        assert counts(there, staying) == (end is not reset)


async def test_a_new_replica_knows_every_ended_visit_before_it_is_ready(server: RealServer) -> None:
    async with replica(server) as (services, room):
        await services.visits.join(room, None, None)
    names, many = keys.room_keys("default"), 5000
    with server.client() as client:
        client.hset(names["state"], "last", many)
        now_us = int(client.time()[0]) * 1_000_000
        client.zadd(names["done"], {str(position): now_us + position for position in range(1, many + 1)})
    async with replica(server) as (services, room):
        assert services.rooms.ready
        assert sum(1 for position in range(1, many + 1) if room.marks.get(position)) == many


async def test_a_session_that_the_store_lost_comes_back_from_its_pass(server: RealServer) -> None:
    names = keys.room_keys("default")
    async with replica(server) as (services, room):
        claims = await inside(services, room)
    with server.client() as client:
        client.delete(names["sessions"], names["log"])
        async with replica(server) as (services, room):
            assert room.marks.get(claims.position) is None
            assert counts(room, claims)
            await eventually(lambda: client.zscore(names["sessions"], claims.position) == claims.expires_s * 1000)
            await eventually(lambda: room.marks.get(claims.position))
            assert counts(room, claims)
            renewed = await services.visits.renew(room, Visitor(claims.epoch, claims.position))
            assert renewed.session.session_id == claims.session_id


async def test_an_ended_session_does_not_come_back_from_its_pass(server: RealServer) -> None:
    names = keys.room_keys("default")
    async with replica(server) as (services, room):
        claims = await inside(services, room)
        await left(services, claims)
        async with replica(server) as (_, other):
            assert not counts(other, claims)
        # Also when a replica that knows nothing of it tells the store.
        await services.store.run(
            services.rooms.get("default")._proven._script,
            names,
            {"epoch": claims.epoch, "passes": [claims.position, claims.expires_s * 1000]},
        )
        with server.client() as client:
            assert client.zscore(names["sessions"], claims.position) is None
