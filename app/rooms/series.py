"""A room's figures over time, as pure functions of the samples that were written down.

Samples carry counts that only rise; what happened in between is their difference. Nothing is written while a room
stands empty and nothing changes, so between two samples that are far apart the earlier one goes on to hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

EVERY_MS = 5_000
KEEP = 720
"""An hour."""
SMOOTH_MS = 30_000
"""Rates are taken over so long: shorter, and a few joins look like a storm; longer, and a storm looks like a breeze."""


class Sample(NamedTuple):
    """One room at one moment. What counts up is meaningful only as a difference within one epoch."""

    at_ms: int
    epoch: int
    counted: int
    joined: int
    waiting: int
    on_turn: int
    inside: int
    admitted: int
    abandoned: int
    polls: int
    wait_s: int
    """What a newcomer might have expected; -1 when that was not known."""


@dataclass(frozen=True)
class Rates:
    """How a room moves."""

    joins_per_minute: float = 0.0
    admitted_per_minute: float = 0.0
    abandoned_per_minute: float = 0.0
    polls_per_second: float = 0.0


class Point(NamedTuple):
    """What a chart shows of one moment."""

    at_ms: int
    waiting: int
    on_turn: int
    inside: int
    rates: Rates
    wait_s: int | None


class _Step(NamedTuple):
    """What happened up to a moment since the one before."""

    at_ms: int
    joined: int
    admitted: int
    abandoned: int
    polls: int


def parse_sample(text: str) -> Sample:
    """Read what sample.lua wrote."""
    return Sample(*(int(part) for part in text.split(":")))


def series(samples: Sequence[Sample], now_ms: int) -> list[Point]:
    """The points of a chart up to now, the oldest first, from samples in the order of their times."""
    held = _held(samples, now_ms - now_ms % EVERY_MS)
    steps = [_step(before, after) for before, after in pairwise(held)]
    points, first = [], 0
    for i, sample in enumerate(held):
        while first < i and steps[first].at_ms <= sample.at_ms - SMOOTH_MS:
            first += 1
        points.append(
            Point(
                sample.at_ms,
                sample.waiting,
                sample.on_turn,
                sample.inside,
                _rates(steps[first:i]),
                sample.wait_s if sample.wait_s >= 0 else None,
            )
        )
    return points


def _held(samples: Sequence[Sample], now_ms: int) -> list[Sample]:
    """The samples, and where time passed without any, the last one again just before the next."""
    held: list[Sample] = []
    for sample in samples:
        if held and sample.at_ms - held[-1].at_ms > EVERY_MS:
            held.append(held[-1]._replace(at_ms=sample.at_ms - EVERY_MS))
        held.append(sample)
    if held and now_ms - held[-1].at_ms > 2 * EVERY_MS:  # the next may still be on its way
        held += [held[-1]._replace(at_ms=at) for at in sorted({held[-1].at_ms + EVERY_MS, now_ms})]
    return held


def _step(before: Sample, after: Sample) -> _Step:
    """What happened between two samples; nothing that could be told when the line was started anew."""
    polls = after.polls - before.polls if after.polls >= before.polls else after.polls  # the count was lost in between
    if (before.epoch, before.counted) != (after.epoch, after.counted):
        return _Step(after.at_ms, 0, 0, 0, polls)
    return _Step(
        after.at_ms,
        max(0, after.joined - before.joined),
        max(0, after.admitted - before.admitted),
        max(0, after.abandoned - before.abandoned),
        polls,
    )


def _rates(steps: Sequence[_Step]) -> Rates:
    minutes, seconds = SMOOTH_MS / 60_000, SMOOTH_MS / 1000
    return Rates(
        round(sum(step.joined for step in steps) / minutes, 1),
        round(sum(step.admitted for step in steps) / minutes, 1),
        round(sum(step.abandoned for step in steps) / minutes, 1),
        round(sum(step.polls for step in steps) / seconds, 2),
    )
