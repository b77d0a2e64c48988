"""The join script case by case, on fakeredis: positions, repeats, verbs, healing."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import fakeredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rooms.settings import Method, RoomSettings
from app.store import keys
from tests.support.scripts import HEAL_MS, ScriptedRoom

CONFIG = RoomSettings(window_size=2, window_interval_seconds=10, active_window_count=2)


@pytest.fixture
def room() -> Iterator[ScriptedRoom]:
    with fakeredis.FakeRedis(decode_responses=True) as client:
        room = ScriptedRoom(client)
        room.declare(CONFIG)
        yield room


def test_a_new_room_holds_joins_until_it_has_healed() -> None:
    with fakeredis.FakeRedis(decode_responses=True) as client:
        room = ScriptedRoom(client)
        room.declare(CONFIG, heal=True)
        assert room.join(1)[0] == -2
        room.now_ms += HEAL_MS
        assert room.join(1)[:1] == [0]


def test_a_batch_repeated_with_its_operation_id_gives_the_same_positions(room: ScriptedRoom) -> None:
    first = room.join(3, operation="the-same")
    again = room.join(3, operation="the-same")
    assert again == first
    assert room.join(1)[3] == 4


def test_an_idempotency_key_takes_no_second_position(room: ScriptedRoom) -> None:
    def join(count: int, keyed: dict[int, str], operation: str) -> list[Any]:
        special = [
            (keys.room_idempotency("default", key), (index, f"ticket-{index}", 600_000, 0, 0))
            for index, key in keyed.items()
        ]
        return room.join_all(count, operation, special=special)

    first = join(3, {1: "order"}, "a")
    assert first[8:] == [""]
    again = join(3, {0: "order"}, "b")
    assert again[8].split(":")[1] == "2"
    assert again[3] == 4
    assert room.join(1)[3] == 6


def test_a_closed_room_refuses_and_a_paused_one_takes_joins_but_stands_still(room: ScriptedRoom) -> None:
    room.join(5)
    room.control("close")
    assert room.join(1) == [-3]
    room.control("open")
    room.control("pause")
    edge = room.observe().edge
    for _ in range(20):
        room.now_ms += 1000
        room.tick()
    assert room.observe().edge == edge
    assert room.join(1)[0] == 0
    room.control("resume")
    for _ in range(10):
        room.now_ms += 1000
        room.tick()
    assert room.observe().edge == edge + 2


def test_a_room_whose_time_comes_while_it_is_paused_opens_with_a_whole_batch_once_it_goes_on(
    room: ScriptedRoom,
) -> None:
    opens_at = datetime.fromtimestamp(room.now_ms / 1000 + 1, UTC)
    room.configure(CONFIG.model_copy(update={"opens_at": opens_at}))
    room.control("pause")
    for _ in range(3):
        room.now_ms += 1000
        seen = room.tick()
    assert (seen.opened, seen.edge) == (0, 0)
    assert room.join(1)[4] == 0, "it is nobody's turn while the line stands still"
    room.control("resume")
    seen = room.tick()
    assert (seen.opened, seen.edge) == (1, 2)


def test_a_batch_that_is_due_waits_until_the_room_has_healed(room: ScriptedRoom) -> None:
    for _ in range(11):
        room.now_ms += 1000
        room.tick()
    room.join(5)
    room.client.hset(room._keys["state"], "run_id", "another process")
    seen = room.tick()
    assert (seen.healing, seen.edge) == (True, 2), "how far the edge was, the replicas have yet to say"
    room.now_ms += HEAL_MS
    assert room.tick().edge == 4


def test_whom_a_room_without_a_line_lets_through_takes_nothing_of_the_rate(room: ScriptedRoom) -> None:
    limits = {"rate_per_minute": 60, "rate_burst": 3}
    room.configure(RoomSettings(method=Method.PASSTHROUGH, **limits))
    assert room.join(5)[4] == 5
    room.configure(RoomSettings(**limits))
    assert room.join(5)[4] == 5 + 3, "the whole burst is there"


def test_a_reset_begins_a_new_epoch_once_when_asked_with_the_epoch_seen(room: ScriptedRoom) -> None:
    room.join(5)
    assert room.control("reset", 1)[:2] == [0, 2]
    assert room.control("reset", 1) == [-4, 2], "asking again changes nothing"
    assert room.join(1)[2:4] == [2, 1]


def test_changed_declarations_are_applied_and_the_same_are_not(room: ScriptedRoom) -> None:
    changed = RoomSettings(window_size=7)
    before = room.observe().settings_version
    room.configure(RoomSettings(window_size=3))
    room.declare(CONFIG)
    assert room.observe().size == 3, "an operator's change stays while the declaration is the one applied last"
    room.declare(changed)
    assert (room.observe().size, room.observe().settings_version) == (7, before + 2)


def test_a_raised_burst_gives_no_more_than_has_filled_so_far() -> None:
    def limits(burst: int) -> RoomSettings:
        return RoomSettings(rate_per_minute=60, rate_burst=burst, max_active=5, batches=False)

    with fakeredis.FakeRedis(decode_responses=True) as client:
        room = ScriptedRoom(client)
        room.declare(limits(1))
        room.now_ms += 3000  # three would have filled, but only one fits
        room.configure(limits(2))
        room.join(3)
        assert room.observe().edge == 1
        room.now_ms += 1000
        assert room.tick().edge == 2


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2000)), min_size=1, max_size=30))
def test_positions_have_no_gaps_and_no_repeats(batches: list[tuple[int, int]]) -> None:
    with fakeredis.FakeRedis(decode_responses=True) as client:
        room = ScriptedRoom(client)
        room.declare(CONFIG)
        given_out: list[int] = []
        for count, wait_ms in batches:
            room.now_ms += wait_ms
            reply = room.join(count)
            given_out += range(reply[3], reply[3] + count)
        assert given_out == list(range(1, len(given_out) + 1))
