"""Kinds of requests beside the two yardsticks: ratios within each round, medians over the rounds.

The bare app runs on a replica's very own server options. The plain one differs in that it keeps uvicorn's own HTTP
protocol instead of ours, which joins writes (app/web/joined_writes.py): what any ASGI application on uvicorn costs.
"""

from collections.abc import Iterable, Mapping
from statistics import median

from benchmarks.load import Burst, medians

BARE, PLAIN = "bare app", "bare app, uvicorn's protocol"

Bursts = dict[str, list[Burst]]
"""By kind of request, one for each round."""


def no_bursts(kinds: Iterable[str]) -> Bursts:
    """Of the yardsticks and these kinds, none yet."""
    return {name: [] for name in (BARE, PLAIN, *kinds)}


def ratio(bursts: Bursts, name: str, yardstick: str) -> float:
    """How many times the yardstick's CPU a request costs."""
    pairs = zip(bursts[name], bursts[yardstick], strict=True)
    return round(median(mine.cpu_us / other.cpu_us for mine, other in pairs), 2)


def rows(column: str, bursts: Bursts) -> list[dict[str, object]]:
    """A row for each kind, named in this column."""
    return [
        {column: name, **medians(found), "x_bare": ratio(bursts, name, BARE), "x_plain": ratio(bursts, name, PLAIN)}
        for name, found in bursts.items()
    ]


def targets(bursts: Bursts, most: Mapping[str, float]) -> list[dict[str, object]]:
    """Which kinds cost at most so many times the yardsticks' CPU."""
    return [
        target(f"{name}: CPU, times the {yardstick}", times, ratio(bursts, name, yardstick))
        for name, times in most.items()
        for yardstick in (BARE, PLAIN)
    ]


def target(what: str, at_most: float, found: float) -> dict[str, object]:
    """Whether a figure is as small as it should be."""
    return {"target": what, "at_most": at_most, "found": found, "reached": found <= at_most}
