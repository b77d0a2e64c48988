"""Whoever asked in time and could not be answered gets in by asking again: turns are kept a little longer than told."""

from collections.abc import Callable, Iterator
from typing import Any

import fakeredis
import pytest

from app.rooms.marks import visit_standing
from app.rooms.settings import RoomSettings
from app.rooms.window import Status
from tests.support.scripts import ScriptedRoom

BATCHES = {"window_size": 2, "window_interval_seconds": 10, "active_window_count": 2}
CAP = {"max_active": 2, "claim_seconds": 20}


@pytest.fixture
def room() -> Iterator[ScriptedRoom]:
    with fakeredis.FakeRedis(decode_responses=True) as client:
        yield ScriptedRoom(client)


def pass_ms(room: ScriptedRoom, ms: int) -> None:
    """Time in which a leader looks once a second."""
    room.now_ms += ms % 1000
    room.tick()
    for _ in range(ms // 1000):
        room.now_ms += 1000
        room.tick()


def turns_at_joining(room: ScriptedRoom) -> tuple[int, int, int, int]:
    """Two positions on turn, the end of their turns as their tickets say, and as it is."""
    until_run_ms = room.join(2)[6]
    return 1, 2, until_run_ms, until_run_ms


def turns_after_a_wait(room: ScriptedRoom) -> tuple[int, int, int, int]:
    """As above; these tickets say nothing."""
    room.join(4)
    room.leave(1, 1)
    room.leave(1, 2)
    pass_ms(room, 10_000)
    until_run_ms = room.observe().window_end(3)
    assert until_run_ms
    return 3, 4, 0, until_run_ms


@pytest.mark.parametrize("settings", [BATCHES, CAP], ids=["batches", "cap"])
@pytest.mark.parametrize("turns", [turns_at_joining, turns_after_a_wait])
def test_a_turn_can_be_taken_up_until_five_seconds_after_what_its_visitor_was_told(
    room: ScriptedRoom, settings: dict[str, Any], turns: Callable[[ScriptedRoom], tuple[int, int, int, int]]
) -> None:
    room.declare(RoomSettings(**settings))
    one, other, ticket_until_run_ms, until_run_ms = turns(room)
    pass_ms(room, until_run_ms + 4_999 - room.observe().run_ms)
    told = visit_standing(room.observe(), None, 1, one, ticket_until_run_ms)
    assert told.status is Status.EXPIRED
    assert room.enter(1, one, ticket_until_run_ms)[0] == 0
    pass_ms(room, 1)
    assert room.enter(1, other, ticket_until_run_ms) == [-7]


def test_a_short_turn_is_kept_for_a_quarter_of_its_length(room: ScriptedRoom) -> None:
    room.declare(RoomSettings(max_active=1, claim_seconds=2))
    room.join(2)
    pass_ms(room, 2_499)
    assert room.tick().edge == 1
    pass_ms(room, 1)
    assert room.tick().edge == 2, "the next in line"


def test_an_outage_while_a_turn_is_only_kept_does_not_end_it(room: ScriptedRoom) -> None:
    room.declare(RoomSettings(**CAP))
    until_run_ms = room.join(1)[6]
    pass_ms(room, until_run_ms + 1_000 - room.observe().run_ms)
    room.now_ms += 600_000
    assert room.enter(1, 1, until_run_ms)[0] == 0


def test_who_asks_for_a_place_within_the_grace_is_at_the_front_though_the_word_of_it_comes_late(
    room: ScriptedRoom,
) -> None:
    room.declare(RoomSettings(max_active=1, claim_seconds=20, pass_over=True, grace_seconds=10))
    room.join(3)
    room.client.zadd(room._keys["seen"], {"2": 0})
    room.leave(1, 1)
    pass_ms(room, 14_000)
    assert room.seen(1, 2, 0) == [0, 1]
    pass_ms(room, 30_000)
    assert room.enter(1, 2)[0] == 0


def test_who_is_told_that_a_turn_is_over_may_join_anew_at_once(room: ScriptedRoom) -> None:
    room.declare(RoomSettings(**CAP))
    joined = room.join_as("ada", "first-ticket")
    pass_ms(room, 20_000)
    again = room.join_as("ada", "second-ticket")
    assert again[3] > joined[3]
    assert again[8] == "", "a place of its own"
