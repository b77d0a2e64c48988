"""Newcomers let straight in: only where nobody waits, never beyond the limits, and for a moment until they confirm."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.errors import NotYourTurn, StanchionError, TurnOver
from app.rooms.room import Room
from app.rooms.settings import RoomSettings
from app.services import Services
from app.services.visits import Admission, Visitor
from tests.conftest import make_settings
from tests.support.apps import running_app, settled
from tests.support.scripts import ScriptedRoom
from tests.support.servers import RealServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("patient_store")

HOLD_MS = 10_000


@pytest.fixture
def room(server: RealServer) -> Iterator[ScriptedRoom]:
    with server.client() as client:
        yield ScriptedRoom(client)
        client.flushall()


def let_in(reply: list[Any]) -> list[int]:
    """The positions of those who were."""
    assert reply[0] == 0, reply
    return [int(position) for position in reply[5::5]]


def declared(room: ScriptedRoom, **settings: Any) -> ScriptedRoom:
    room.declare(RoomSettings(**settings))
    return room


@pytest.mark.parametrize(
    ("settings", "how_many"),
    [
        ({"max_active": 3}, 3),
        ({"rate_per_minute": 60, "rate_burst": 2}, 2),
        ({"max_active": 3, "rate_per_minute": 60, "rate_burst": 2}, 2),
        ({"max_active": 3, "window_size": 2, "batches": True}, 2),
        ({"window_size": 4}, 4),
        ({"max_active": 3, "pass_over": True}, 3),
        ({"max_active": 0}, 0),
    ],
    ids=str,
)
def test_as_many_walk_in_as_the_limits_have_room_for(
    room: ScriptedRoom, settings: dict[str, Any], how_many: int
) -> None:
    declared(room, **settings)
    assert let_in(room.walk_in(9, HOLD_MS)) == list(range(1, how_many + 1))
    assert let_in(room.walk_in(9, HOLD_MS)) == []
    snapshot = room.tick()
    assert (snapshot.sessions, snapshot.turns, snapshot.waiting) == (how_many, 0, 0)


def test_everybody_walks_into_a_room_without_a_line(room: ScriptedRoom) -> None:
    declared(room, method="passthrough")
    assert let_in(room.walk_in(9, HOLD_MS)) == list(range(1, 10))
    assert let_in(room.walk_in(9, HOLD_MS)) == list(range(10, 19))


def test_whoever_finds_no_room_has_taken_no_place(room: ScriptedRoom) -> None:
    declared(room, max_active=1)
    room.walk_in(5, HOLD_MS)
    assert room.tick().last == 1


def test_nobody_walks_past_those_who_wait(room: ScriptedRoom) -> None:
    declared(room, max_active=2)
    room.join(3)
    room.enter(1, 1)
    room.leave(1, 2)  # its slot goes to the third
    assert let_in(room.walk_in(1, HOLD_MS)) == []
    room.enter(1, 3)
    room.leave(1, 1)
    assert let_in(room.walk_in(1, HOLD_MS)) == [4]


@pytest.mark.parametrize(("verb", "status"), [("pause", 0), ("close", -3), ("drain", -3)])
def test_nobody_walks_into_a_room_that_stands_still_or_is_closed(room: ScriptedRoom, verb: str, status: int) -> None:
    declared(room, max_active=5)
    room.control(verb)
    reply = room.walk_in(1, HOLD_MS)
    assert reply[0] == status
    assert len(reply) <= 5
    assert room.tick().last == 0


def test_nobody_walks_into_a_room_before_it_opens_or_where_all_are_rejected(room: ScriptedRoom) -> None:
    declared(room, max_active=5, opens_at="2099-01-01T00:00:00Z")
    assert let_in(room.walk_in(1, HOLD_MS)) == []
    room.configure(RoomSettings(method="reject"))
    assert room.walk_in(1, HOLD_MS) == [-6]


def test_nobody_walks_in_while_the_room_heals(room: ScriptedRoom) -> None:
    room.declare(RoomSettings(max_active=5), heal=True)
    assert room.walk_in(1, HOLD_MS)[0] == -2


def test_an_unconfirmed_session_frees_its_slot_when_its_short_time_ends(room: ScriptedRoom) -> None:
    declared(room, max_active=1)
    room.walk_in(1, HOLD_MS)
    room.now_ms += HOLD_MS - 1
    assert let_in(room.walk_in(1, HOLD_MS)) == []
    room.now_ms += 2
    assert let_in(room.walk_in(1, HOLD_MS)) == [2]
    assert room.renew(1, 1) == [-8]
    assert room.marks.get(1) is None
    room.tick()
    assert room.marks.get(1).kind == "x"  # type: ignore[union-attr]


def test_a_confirmed_session_lasts_as_long_as_any(room: ScriptedRoom) -> None:
    declared(room, max_active=1, session_seconds=600)
    room.walk_in(1, HOLD_MS)
    room.now_ms += 5000
    _, now_ms, _, ends_ms, _, _ = room.renew(1, 1)
    assert ends_ms == now_ms + 600_000
    room.now_ms += 500_000
    assert let_in(room.walk_in(1, HOLD_MS)) == []


def test_those_who_walked_in_count_against_the_batch_and_the_rate(room: ScriptedRoom) -> None:
    declared(room, window_size=3)
    room.walk_in(2, HOLD_MS)
    assert let_in(room.walk_in(2, HOLD_MS)) == [3]
    first = room.join(1)[3]
    assert first == 4
    assert room.tick().waiting == 1


@asynccontextmanager
async def service(server: RealServer, **settings: Any) -> AsyncIterator[tuple[Services, Room]]:
    async with running_app(make_settings(redis_url=server.url, refresh_interval=0.05)) as (_, services):
        await eventually(lambda: settled(services))
        await services.operator.create("sale", RoomSettings(**settings), "test")
        yield services, services.rooms.get("sale")
    with server.client() as direct:
        direct.flushall()


async def outcomes(work: list[Any]) -> tuple[list[Admission], list[StanchionError]]:
    results = await asyncio.gather(*work, return_exceptions=True)
    assert not [result for result in results if not isinstance(result, Admission | StanchionError)]
    return (
        [result for result in results if isinstance(result, Admission)],
        [result for result in results if isinstance(result, StanchionError)],
    )


async def test_a_crowd_that_walks_in_shares_its_round_trips_and_keeps_the_limit(server: RealServer) -> None:
    async with service(server, max_active=20) as (services, room):
        trips = services.metrics.round_trips.labels("request")
        before = trips._value.get()
        inside, refused = await outcomes([services.visits.walk_in(room, 10) for _ in range(500)])
        assert len(inside) == 20
        assert {type(error) for error in refused} == {NotYourTurn}
        assert trips._value.get() - before <= 10
        claims = [admission.issued.claims for admission in inside]
        assert {item.position for item in claims} == set(range(1, 21))
        assert all(item.provisional and item.expires_s - item.issued_s in (10, 11) for item in claims)


async def test_a_pass_that_came_back_is_confirmed_for_the_whole_session(server: RealServer) -> None:
    async with service(server, max_active=1, session_seconds=600) as (services, room):
        provisional = (await services.visits.walk_in(room, 10)).issued.claims
        confirmed = await services.visits.renew(room, Visitor(provisional.epoch, provisional.position))
        assert not confirmed.issued.claims.provisional
        assert confirmed.session.session_id == provisional.session_id
        assert confirmed.issued.claims.expires_s - provisional.issued_s >= 600


async def test_nobody_walks_into_a_room_that_asks_who_comes(server: RealServer) -> None:
    async with service(server, max_active=9, joins_per_address=5) as (services, room):
        with pytest.raises(NotYourTurn):
            await services.visits.walk_in(room, 10)


async def test_hundreds_enter_renew_and_leave_at_once_in_a_few_round_trips(server: RealServer) -> None:
    async with service(server, max_active=400) as (services, room):
        tickets = [
            issued.ticket
            for issued in await asyncio.gather(*(services.visits.join(room, None, None) for _ in range(401)))
            if issued
        ]
        visitors = [Visitor(ticket.epoch, ticket.position) for ticket in tickets]
        trips = services.metrics.round_trips.labels("request")
        for act in (services.visits.enter, services.visits.renew):
            before = trips._value.get()
            inside, refused = await outcomes([act(room, visitor) for visitor in visitors])
            assert len(inside) == 400
            assert [type(error) for error in refused] in ([NotYourTurn], [TurnOver])
            assert trips._value.get() - before <= 10
        assert {admission.session.position for admission in inside} == set(range(1, 401))
        before = trips._value.get()
        await asyncio.gather(*(services.visits.leave(room, visitor) for visitor in visitors))
        assert trips._value.get() - before <= 10
        assert all(room.marks.get(visitor.position).kind == "x" for visitor in visitors[:400])  # type: ignore[union-attr]
