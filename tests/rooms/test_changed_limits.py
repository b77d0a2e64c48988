"""A running room is given other limits: nobody loses what they have, and nobody is counted who is gone."""

from collections.abc import Iterator

import fakeredis
import pytest

from app.rooms.settings import RoomSettings
from tests.support.scripts import ScriptedRoom

BATCHES = RoomSettings(window_size=10, window_interval_seconds=30, active_window_count=2, session_seconds=600)


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
