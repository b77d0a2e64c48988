"""Rooms over time: what is written down, and what is read out of it."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import StoreUnavailable
from app.rooms.series import EVERY_MS, KEEP, SMOOTH_MS, Point, Sample, parse_sample, series
from app.rooms.settings import RoomSettings
from app.store import keys
from tests.conftest import make_settings
from tests.support.apps import running_app
from tests.support.scripts import NOW_KEY, ScriptedRoom
from tests.support.servers import RealServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("patient_store")

T = 1_700_000_000_000
FIRST = Sample(T, 1, 1, 0, 0, 0, 0, 0, 0, 0, -1)


def sample(after_s: int, **figures: int) -> Sample:
    return FIRST._replace(at_ms=T + 1000 * after_s, **figures)


# Reading


def test_rates_are_what_happened_within_half_a_minute() -> None:
    points = series([sample(5 * i, joined=10 * i, admitted=2 * i, abandoned=i, polls=50 * i) for i in range(20)], T)
    assert points[0].rates.joins_per_minute == 0, "nothing is known of what came before"
    assert points[3].rates.joins_per_minute == 60
    steady = points[-1].rates
    assert (steady.joins_per_minute, steady.admitted_per_minute, steady.abandoned_per_minute) == (120, 24, 12)
    assert steady.polls_per_second == 10


def test_what_happens_in_one_moment_leaves_the_rate_half_a_minute_later() -> None:
    points = series([sample(0), *(sample(s, joined=60) for s in range(5, 60, 5))], T + 55_000)
    by_second = {(point.at_ms - T) // 1000: point.rates.joins_per_minute for point in points}
    assert [by_second[s] for s in (0, 5, 30, 35, 40)] == [0, 120, 120, 0, 0]


def test_a_room_started_anew_shows_no_storm() -> None:
    points = series([sample(0, joined=900), sample(5, epoch=2), sample(10, epoch=2, joined=3)], T + 10_000)
    assert [point.rates.joins_per_minute for point in points] == [0, 0, 6]


def test_a_room_whose_turns_begin_to_be_counted_shows_no_storm() -> None:
    points = series([sample(0, counted=0, admitted=0), sample(5, counted=1, admitted=5000)], T + 5000)
    assert points[-1].rates.admitted_per_minute == 0


def test_a_count_of_polls_that_was_lost_begins_anew() -> None:
    points = series([sample(0, polls=9000), sample(5, polls=30)], T + 5000)
    assert points[-1].rates.polls_per_second == 1


def test_where_nothing_was_written_the_last_figures_go_on_to_hold() -> None:
    points = series([sample(0, waiting=4), sample(60, waiting=9)], T + 120_000)
    assert [((point.at_ms - T) // 1000, point.waiting) for point in points] == [
        (0, 4),
        (55, 4),
        (60, 9),
        (65, 9),
        (120, 9),
    ]


def test_the_newest_sample_may_be_on_its_way() -> None:
    assert [point.at_ms - T for point in series([sample(0)], T + 2 * EVERY_MS)] == [0]
    assert series([], T) == []


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 50), st.integers(1, 2)), min_size=1, max_size=40))
def test_points_are_in_order_and_rates_never_exceed_what_happened(steps: list[tuple[int, int, int]]) -> None:
    samples, at, joined, epoch = [FIRST], 0, 0, 1
    for pause, joins, new_epoch in steps:
        at, joined, epoch = at + 5 + 5 * pause, joined + joins, max(epoch, new_epoch)
        samples.append(sample(at, joined=joined, epoch=epoch))
    points = series(samples, T + 1000 * at + 60_000)
    times = [point.at_ms for point in points]
    assert times == sorted(set(times))
    most = sum(joins for _, joins, _ in steps) * 60_000 / SMOOTH_MS
    assert all(0 <= point.rates.joins_per_minute <= most for point in points)


# Writing


@pytest.fixture
def room(server: RealServer) -> Iterator[ScriptedRoom]:
    with server.client() as client:
        yield ScriptedRoom(client)
        client.delete(NOW_KEY)


def write(room: ScriptedRoom, polls: int = 0, wait_s: int = -1) -> int:
    args = {"every_ms": EVERY_MS, "keep": KEEP, "ttl_ms": 60_000, "polls": polls, "wait_s": wait_s}
    reply: list[Any] = room.run("sample", {**keys.room_keys(room.name), **keys.room_history(room.name)}, args)
    return reply[1] if reply[0] == 0 else reply[0]


def newest(room: ScriptedRoom) -> Sample:
    return parse_sample(room.run("samples", {"history": keys.room_history(room.name)["history"]}, {"count": 1})[1])


def test_the_first_replica_of_a_stretch_writes_and_all_count_their_polls(room: ScriptedRoom) -> None:
    room.declare(RoomSettings())
    room.now_ms = T
    assert [write(room, polls=5), write(room, polls=7)] == [1, 0]
    room.now_ms += EVERY_MS - 1
    assert write(room) == 0
    room.now_ms += 1
    assert write(room, wait_s=17) == 1
    assert (newest(room).at_ms, newest(room).polls, newest(room).wait_s) == (T + EVERY_MS, 12, 17)


def test_a_room_that_is_gone_is_not_written_down(room: ScriptedRoom) -> None:
    assert write(room) == -1


def test_an_hour_is_kept_and_then_forgotten(room: ScriptedRoom) -> None:
    room.declare(RoomSettings())
    for _ in range(3):
        args = {"every_ms": EVERY_MS, "keep": 2, "ttl_ms": 60_000, "polls": 1, "wait_s": -1}
        room.run("sample", {**keys.room_keys(room.name), **keys.room_history(room.name)}, args)
        room.now_ms += EVERY_MS
    for key in keys.room_history(room.name).values():
        assert 0 < room.client.pttl(key) <= 60_000
    assert room.client.llen(keys.room_history(room.name)["history"]) == 2


def test_batches_are_counted_by_whose_turn_has_come(room: ScriptedRoom) -> None:
    room.declare(RoomSettings(window_size=10, window_interval_seconds=30, active_window_count=1))
    room.join(25)
    write(room)
    before = newest(room)
    assert (before.counted, before.joined, before.waiting, before.on_turn, before.admitted) == (0, 25, 15, 10, 10)
    for _ in range(66):
        room.now_ms += 1000
        room.tick()
    write(room)
    after = newest(room)
    assert (after.waiting, after.on_turn, after.admitted) == (0, 5, 25)


def test_counted_rooms_also_know_who_gave_up(room: ScriptedRoom) -> None:
    room.declare(RoomSettings(max_active=3, claim_seconds=10))
    room.join(9)
    room.enter(1, 1)
    room.leave(1, 1)  # was inside: not given up
    room.leave(1, 2)  # had a turn
    room.leave(1, 9)  # was in line
    write(room)
    seen = newest(room)
    assert (seen.admitted, seen.on_turn, seen.waiting, seen.abandoned) == (5, 3, 4, 2)
    for _ in range(13):
        room.now_ms += 1000
        room.tick()
    write(room)
    assert newest(room).abandoned == 2 + 3, "three let their turn run out"


def test_whoever_an_operator_sends_away_has_not_given_up(room: ScriptedRoom) -> None:
    room.declare(RoomSettings(max_active=1))
    room.join(2)
    room.end(1, [1, 2], "ada")
    write(room)
    assert newest(room).abandoned == 0


# In a running replica


async def test_a_replica_writes_its_rooms_down_and_leaves_empty_ones_alone(server: RealServer) -> None:
    settings = make_settings(redis_url=server.url, rooms="default,idle", refresh_interval=0.02)
    async with running_app(settings) as (client, services):
        room = services.rooms.get("default")
        await eventually(lambda: services.has_snapshot and not room.snapshot.healing)  # type: ignore[union-attr]
        await eventually(services.history._leads)
        token = (await client.post("/join")).json()["token"]
        for _ in range(4):
            (await client.get("/status", headers={"Authorization": f"Bearer {token}"})).raise_for_status()
        await eventually(lambda: room.snapshot.last == 1)  # type: ignore[union-attr]

        async def written() -> list[Point]:
            await (
                services.history.step()
            )  # on a slow machine the replica has by itself begun a stretch, without anybody
            points = await services.history.points("default")
            return points if points and points[-1].on_turn == 1 else []

        points = await eventually(written, within_s=EVERY_MS / 1000 + 10)
        assert room.polls == 0
        assert await services.history.points("default", since_ms=points[-1].at_ms) == []
        with server.client() as direct:
            assert direct.get(keys.room_history("default")["polls"]) == "4"
            calls = len(direct.lrange(keys.room_history("idle")["history"], 0, -1))
        await services.history.step()
        with server.client() as direct:
            assert len(direct.lrange(keys.room_history("idle")["history"], 0, -1)) == calls <= 1
        assert (await services.history.rates()).keys() == {"default", "idle"}


async def test_polls_that_could_not_be_reported_are_reported_later(own_server: RealServer) -> None:
    settings = make_settings(redis_url=own_server.url, refresh_interval=0.02)
    async with running_app(settings) as (_, services):
        room = services.rooms.get("default")
        await eventually(lambda: services.has_snapshot and not room.snapshot.healing)  # type: ignore[union-attr]
        room.polls = 3
        own_server.kill()
        with pytest.raises(StoreUnavailable):
            await services.history._write([room])
        assert room.polls == 3
        await eventually(lambda: room.stale)  # so that its being up to date is news
        own_server.start()
        await eventually(lambda: not room.stale)
        await services.history.step()
        assert room.polls == 0
