"""A running room is given other limits: nobody loses what they have, and nobody is counted who is gone."""

from collections.abc import Iterator

import fakeredis
import pytest

from app.rooms.settings import RoomSettings
from tests.support.scripts import ScriptedRoom

BATCHES = RoomSettings(window_size=10, window_interval_seconds=30, active_window_count=2, session_seconds=600)
CAP = BATCHES.model_copy(update={"max_active": 3})


@pytest.fixture
def room() -> Iterator[ScriptedRoom]:
    with fakeredis.FakeRedis(decode_responses=True) as client:
        yield ScriptedRoom(client)


def pass_time(room: ScriptedRoom, seconds: float) -> None:
    """Time in which a leader looks once a second."""
    for _ in range(int(seconds)):
        room.now_ms += 1000
        room.tick()


def test_who_was_passed_over_and_enters_once_batches_pace_the_room_stays_inside(room: ScriptedRoom) -> None:
    room.declare(BATCHES.model_copy(update={"max_active": 1, "pass_over": True, "grace_seconds": 5}))
    room.join(3)
    room.client.zadd(room._keys["seen"], {"2": 0})
    room.leave(1, 1)  # the third is let in, the second stepped over
    room.configure(BATCHES)
    assert room.enter(1, 2)[0] == 0
    pass_time(room, 7)  # the grace is over
    assert room.renew(1, 2)[0] == 0
    assert room.tick().sessions == 1


def test_changes_of_other_settings_cost_nothing_of_the_rate(room: ScriptedRoom) -> None:
    room.declare(RoomSettings(rate_per_minute=100, rate_burst=5))
    room.join(6)
    for seconds in range(1, 25):
        room.now_ms += 25
        room.configure(RoomSettings(rate_per_minute=100, rate_burst=5, session_seconds=seconds))
    assert room.tick().edge == 6, "the time of one turn has passed"


def test_whose_turns_were_over_before_a_cap_was_set_take_none_of_its_slots(room: ScriptedRoom) -> None:
    room.declare(BATCHES)
    room.join(9)
    pass_time(room, 65)
    room.configure(CAP)
    assert room.tick().turns == 0
    assert room.join(4)[4] == 9 + 1 + 3, "one place more was promised by the batches; it belongs to nobody"
    assert room.tick().turns == 3


def test_a_cap_counts_who_is_on_turn_until_the_last_of_these_turns_is_over(room: ScriptedRoom) -> None:
    room.declare(BATCHES)
    room.join(6)
    pass_time(room, 20)
    room.join(2)
    pass_time(room, 10)
    room.configure(CAP)
    waiting = list(range(11, 16))
    assert room.join(5)[3] == waiting[0]
    assert room.tick().turns == 8, "all who may still come"
    pass_time(room, 54)
    assert room.tick().edge < waiting[0]
    pass_time(room, 1)
    assert room.tick().edge == waiting[2], "an active time after the last join, and five seconds for those who ask late"
    assert room.tick().turns == 3


def test_of_those_on_turn_when_a_cap_is_set_every_one_who_leaves_makes_room(room: ScriptedRoom) -> None:
    room.declare(BATCHES)
    room.join(6)
    room.configure(CAP)
    room.join(2)
    for position in (1, 2, 3):
        room.leave(1, position)
    assert room.tick().edge == 10
    room.leave(1, 4)
    assert room.tick().edge == 11


def test_a_cap_revives_nobody_whose_turn_was_over_while_others_still_have_theirs(room: ScriptedRoom) -> None:
    room.declare(BATCHES)
    until_run_ms = room.join(6)[6]
    pass_time(room, 50)
    room.join(1)
    pass_time(room, 16)
    room.configure(CAP)
    assert room.enter(1, 1, until_run_ms) == [-7]
    assert room.enter(1, 7, until_run_ms + 49_000)[0] == 0
