"""Who comes, when, and how they behave: a pure function of the wish and its seed."""

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from random import Random
from typing import NamedTuple

from app.errors import InvalidInput

WAVES = 3
SPIKE_SHARE = 0.7
"""This part of a spike comes in the first tenth of the time, the others evenly after."""
_STEPS = 1000


class Kind(StrEnum):
    """How a visitor behaves."""

    PATIENT = "patient"
    """Waits for as long as it takes."""
    IMPATIENT = "impatient"
    """Closes the page without a word when it takes too long."""
    RELOADING = "reloading"
    """Waits, but reloads the page again and again, and has a second tab."""
    LEAVING = "leaving"
    """Gives the place back when it takes too long."""
    LATE = "late"
    """Misses the first turn, joins again, and then waits like a patient one."""


class Shape(StrEnum):
    """How arrivals are spread over the time."""

    STEADY = "steady"
    SPIKE = "spike"
    WAVE = "wave"


DEFAULT_MIX: Mapping[Kind, float] = {
    Kind.PATIENT: 60,
    Kind.IMPATIENT: 15,
    Kind.RELOADING: 15,
    Kind.LEAVING: 5,
    Kind.LATE: 5,
}
DEFAULT_MIX_TEXT = ",".join(f"{kind}={share:g}" for kind, share in DEFAULT_MIX.items())


class Visitor(NamedTuple):
    """One visitor of the plan."""

    number: int
    kind: Kind
    arrives_s: float
    """Seconds after the start."""
    patience_s: float
    """How long the impatient and the leaving wait."""
    reaction_s: float
    """Between seeing the turn and taking it up."""
    stay_s: float
    """How long the visit inside lasts."""
    reload_every: int
    """How many polls the reloading let pass between two reloads."""
    listens: bool = False
    """Whether the room's news are listened to, and polls are few meanwhile."""


@dataclass(frozen=True)
class Wish:
    """What crowd is wanted."""

    visitors: int
    seed: int
    shape: Shape = Shape.STEADY
    over_s: float = 30.0
    patience_s: float = 60.0
    """On average."""
    stay_s: float = 10.0
    """On average."""
    mix: Mapping[Kind, float] = field(default_factory=lambda: DEFAULT_MIX)
    """The kinds' shares, in any unit."""
    listening: float = 0.0
    """How many of a hundred listen to the room's news."""


def plan_crowd(wish: Wish) -> list[Visitor]:
    """The visitors in order of arrival; the same wish always gives the same ones."""
    random = Random(wish.seed)
    arrivals = sorted(_arrival(wish.shape, random.random()) * wish.over_s for _ in range(wish.visitors))
    kinds = [kind for kind, count in apportion(wish.visitors, wish.mix).items() for _ in range(count)]
    random.shuffle(kinds)
    listeners = round(wish.visitors * wish.listening / 100)
    listening = set(Random(wish.seed).sample(range(1, wish.visitors + 1), listeners))
    return [
        Visitor(
            number,
            kind,
            arrives_s,
            patience_s=wish.patience_s * random.uniform(0.2, 1.8),
            reaction_s=random.uniform(0.0, 1.0),
            stay_s=wish.stay_s * random.uniform(0.2, 1.8),
            reload_every=random.randint(1, 4),
            listens=number in listening,
        )
        for number, (arrives_s, kind) in enumerate(zip(arrivals, kinds, strict=True), 1)
    ]


def apportion(visitors: int, mix: Mapping[Kind, float]) -> dict[Kind, int]:
    """How many of each kind: the shares rounded so that they add up (largest remainders)."""
    whole = sum(mix.values())
    exact = {kind: visitors * share / whole for kind, share in mix.items()}
    counts = {kind: math.floor(value) for kind, value in exact.items()}
    by_remainder = sorted(exact, key=lambda kind: (counts[kind] - exact[kind], list(Kind).index(kind)))
    for kind in by_remainder[: visitors - sum(counts.values())]:
        counts[kind] += 1
    return counts


def parse_mix(text: str) -> dict[Kind, float]:
    """Read a mix like `patient=60,late=5`; kinds that are not named do not come.

    Raises:
        InvalidInput: a kind is unknown or named twice, a share is no number from 0 on, or nobody would come.
    """
    mix: dict[Kind, float] = {}
    for part in text.split(","):
        name, _, share_text = part.partition("=")
        try:
            kind, share = Kind(name.strip()), float(share_text)
        except ValueError:
            raise InvalidInput(
                f"The mix is written like `patient=60,late=5`, with the kinds {', '.join(Kind)}; not {part.strip()!r}."
            ) from None
        if kind in mix:
            raise InvalidInput(f"The mix names {kind} twice.")
        if not 0 <= share < math.inf:
            raise InvalidInput(f"The share of {kind} must be a number from 0 on, not {share_text.strip()}.")
        mix[kind] = share
    if not sum(mix.values()) > 0:
        raise InvalidInput("With this mix nobody would come.")
    return mix


def _arrival(shape: Shape, draw: float) -> float:
    """The moment, as a part of the time, by which the part `draw` of the crowd has come."""
    if shape is Shape.STEADY:
        return draw
    if shape is Shape.SPIKE:
        if draw < SPIKE_SHARE:
            return draw / SPIKE_SHARE * 0.1
        return 0.1 + (draw - SPIKE_SHARE) / (1 - SPIKE_SHARE) * 0.9
    return bisect_left(_WAVE_SUMS, draw * _WAVE_SUMS[-1]) / _STEPS + _wave_rest(draw)


_WAVE_SUMS = list(accumulate(1 - math.cos(2 * math.pi * WAVES * (step + 0.5) / _STEPS) for step in range(_STEPS)))


def _wave_rest(draw: float) -> float:
    """Where within its step of the table an arrival falls."""
    target = draw * _WAVE_SUMS[-1]
    step = bisect_left(_WAVE_SUMS, target)
    before = _WAVE_SUMS[step - 1] if step else 0.0
    return (target - before) / (_WAVE_SUMS[step] - before) / _STEPS
