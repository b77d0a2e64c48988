"""How often the truth falls into the range that visitors are told: a simulation, with fixed dice."""

import random
from collections.abc import Callable
from dataclasses import fields

import pytest

from app.rooms.estimate import BLOCK_MS, BLOCKS, Pace, pace_of, wait_by_pace, wait_until_open
from app.rooms.polling import poll_after_s
from app.rooms.settings import RoomSettings
from app.rooms.snapshot import Snapshot

Moves = Callable[[random.Random], list[int]]
SECONDS = 4000


def steady(dice: random.Random) -> list[int]:
    """Places that become free by themselves, two a second on average."""
    return [sum(dice.random() < 0.2 for _ in range(10)) for _ in range(SECONDS)]


def bursty(dice: random.Random) -> list[int]:
    """Crowds leave together: every now and then twenty or so, and hardly anybody between."""
    return [dice.randint(10, 30) if dice.random() < 0.05 else int(dice.random() < 0.1) for _ in range(SECONDS)]


def stalled(dice: random.Random) -> list[int]:
    """Steady, but the line stops for half a minute every few minutes."""
    moves, left = [], 0
    for _ in range(SECONDS):
        if left == 0 and dice.random() < 1 / 200:
            left = 30
        moves.append(0 if left else sum(dice.random() < 0.2 for _ in range(10)))
        left = max(0, left - 1)
    return moves


def share_inside(moves: Moves) -> float:
    """The share of visitors whose wait fell into the range they were told."""
    inside = told = 0
    for seed in range(30):
        dice = random.Random(seed)
        line = moves(dice)
        for _ in range(40):
            now, ahead = dice.randrange(BLOCKS * 5, SECONDS // 2), dice.randrange(5, 400)
            past = line[now - BLOCKS * 5 : now]
            pace = pace_of([sum(past[i : i + 5]) for i in range(0, len(past), 5)])
            if pace is None:
                continue
            need, second = ahead + 1, now
            while need > 0 and second < SECONDS:
                need -= line[second]
                second += 1
            if need > 0:
                continue
            truth_ms, wait = (second - now) * 1000, wait_by_pace(pace, ahead)
            told += 1
            inside += wait.low_ms <= truth_ms and (wait.high_ms is None or truth_ms <= wait.high_ms)
    assert told > 500
    return inside / told


@pytest.mark.parametrize(("moves", "least", "most"), [(steady, 0.8, 1.0), (bursty, 0.75, 1.0), (stalled, 0.7, 1.0)])
def test_the_truth_falls_into_the_range_about_as_often_as_promised(
    moves: Moves, least: float, most: float, record_property: Callable[[str, object], None]
) -> None:
    share = share_inside(moves)
    record_property("share_inside", round(share, 3))
    print(f"{moves.__name__}: {share:.1%} of waits fell into the range")
    assert least <= share <= most


def test_the_range_grows_with_the_wait_and_holds_the_expectation() -> None:
    pace = Pace(10, 12, 30)
    waits = [wait_by_pace(pace, ahead) for ahead in (0, 10, 100, 1000)]
    for wait in waits:
        assert wait.high_ms is not None
        assert wait.low_ms <= wait.expected_ms <= wait.high_ms
    widths = [(wait.high_ms or 0) - wait.low_ms for wait in waits]
    assert widths == sorted(widths)


def test_nothing_is_promised_from_too_little() -> None:
    assert pace_of([3, 4]) is None
    assert pace_of([0] * 20) is None
    assert wait_by_pace(Pace(1, 40, 3), 50).high_ms is None
    assert BLOCK_MS == 5000


@pytest.mark.parametrize(
    ("settings", "ahead", "expected_s", "low_s"),
    [
        ({"window_size": 10, "window_interval_seconds": 30}, 9, 60, 60),
        ({"window_size": 10, "window_interval_seconds": 30}, 25, 120, 120),
        ({"rate_per_minute": 60, "rate_burst": 5}, 4, 60, 60),
        ({"rate_per_minute": 60, "rate_burst": 5}, 64, 120, 120),
        ({"max_active": 10, "claim_seconds": 20}, 9, 60, 60),
        ({"max_active": 10, "claim_seconds": 20}, 25, 100, 60),
        ({"max_active": 0}, 25, 60, 60),
        ({"method": "passthrough"}, 1000, 60, 60),
    ],
)
def test_before_the_opening_those_further_back_are_told_to_wait_longer(
    settings: dict[str, object], ahead: int, expected_s: float, low_s: float
) -> None:
    room = RoomSettings.model_validate(settings)
    seen = waiting_room(size=room.window_size, interval_ms=room.interval_ms, active_ms=room.active_ms)
    assert wait_until_open(seen, 60_000, ahead, room) == (expected_s * 1000, low_s * 1000, None)


def test_a_crowd_that_waits_for_the_opening_does_not_ask_as_one_when_it_comes() -> None:
    room, crowd, active_s = RoomSettings(window_size=100, window_interval_seconds=30), 50_000, 60
    seen = waiting_room(size=100, interval_ms=30_000, active_ms=60_000)
    polls = [
        poll_after_s(wait_until_open(seen, 2000, ahead, room).expected_ms / 1000, crowd, 500.0, active_s, 0.5)
        for ahead in range(crowd)
    ]
    assert max(polls[:100]) <= 2  # their turn comes with the opening
    assert sum(1 / seconds for seconds in polls) < 1.2 * crowd / (active_s / 2)  # as often as anybody is told to


def waiting_room(**changes: int) -> Snapshot:
    numbers = {item.name: 0 for item in fields(Snapshot) if item.type is int}
    return Snapshot(**{"room": "sale", **numbers, "paused": False, "closed": False, **changes})  # type: ignore[arg-type]
