"""What a storm of requests for locks showed: waits, fairness for each id, and whether two holds ever overlapped.

Pure figures; `app.simulate.locks` makes the storm.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

WAIT_BOUNDS_S = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
CLEARLY_LATER_S = 0.1
"""Requests that reach their replicas closer together than this may reach the store in either order."""


@dataclass(frozen=True)
class Profile:
    """The shape of a storm; these are the load profiles of the system that this replaces."""

    requests: int
    concurrency: int
    first_id: int
    last_id: int


PROFILES = {
    "default": Profile(1000, 50, 1, 5),
    "light": Profile(100, 10, 1, 5),
    "heavy": Profile(1000, 100, 1, 5),
    "single-id": Profile(100, 50, 1, 1),
    "many-ids": Profile(1000, 50, 10, 99),
    "extreme": Profile(10_000, 200, 1, 5),
}


@dataclass(frozen=True)
class Outcome:
    """One request of the storm."""

    lock_id: str
    status: int
    """0: no answer."""
    took_s: float
    waited_s: float | None = None
    worked_s: float | None = None
    granted_ms: int | None = None
    fence: int | None = None


@dataclass(frozen=True)
class IdFigures:
    """How one id was served."""

    lock_id: str
    served: int
    median_wait_s: float
    longest_wait_s: float
    overtaken: int
    """How many requests were served after one that had come clearly later."""
    overlaps: int
    busy_s: float
    """The sum of the holds as measured."""


@dataclass(frozen=True)
class Summary:
    """How a storm went."""

    by_status: dict[int, int]
    took_s: float
    waits: list[int]
    """Served requests by wait, one more than there are `WAIT_BOUNDS_S`."""
    ids: list[IdFigures] = field(default_factory=list)
    checked: int = 0
    """How many holds the overlap check saw; an upstream's answers do not tell theirs."""

    @property
    def overlaps(self) -> int:
        return sum(figures.overlaps for figures in self.ids)

    @property
    def ideal_s(self) -> float:
        """The least time it could have taken: the busiest id's holds, one after the other."""
        return max((figures.busy_s for figures in self.ids), default=0.0)


def summarise(outcomes: Iterable[Outcome], took_s: float) -> Summary:
    """The figures of a storm that took so long."""
    by_status: dict[int, int] = defaultdict(int)
    by_id: dict[str, list[Outcome]] = defaultdict(list)
    waits = [0] * (len(WAIT_BOUNDS_S) + 1)
    for outcome in outcomes:
        by_status[outcome.status] += 1
        if outcome.status == 200:
            by_id[outcome.lock_id].append(outcome)
            waits[bisect_right(WAIT_BOUNDS_S, wait_of(outcome))] += 1
    ids = [_figures(lock_id, served) for lock_id, served in sorted(by_id.items(), key=lambda item: _natural(item[0]))]
    checked = sum(outcome.fence is not None for served in by_id.values() for outcome in served)
    return Summary(dict(by_status), took_s, waits, ids, checked)


def wait_of(outcome: Outcome) -> float:
    """The wait that the service tells, or else all the time it took."""
    return outcome.took_s if outcome.waited_s is None else outcome.waited_s


def overlaps_of(holds: Sequence[Outcome]) -> int:
    """How many holds of one id began before the one granted earlier was over.

    Grants are told in whole milliseconds of the store's clock, and the work is measured inside the hold:
    so one millisecond's grace is exact, and what is found beyond it did happen.
    """
    told = sorted(
        (hold.fence, hold.granted_ms, hold.worked_s)
        for hold in holds
        if hold.fence is not None and hold.granted_ms is not None and hold.worked_s is not None
    )
    return sum(
        later_ms + 1 <= earlier_ms + worked_s * 1000 or later_fence == fence
        for (fence, earlier_ms, worked_s), (later_fence, later_ms, _) in pairwise(told)
    )


def overtaken_of(holds: Sequence[Outcome]) -> int:
    """How many requests of one id were served after one that had come clearly later.

    When they came is told by the service (the grant, less the wait): a busy player sends late what it meant to send early.
    """
    told = sorted(
        (hold.fence, hold.granted_ms / 1000 - hold.waited_s)
        for hold in holds
        if hold.fence is not None and hold.granted_ms is not None and hold.waited_s is not None
    )
    latest_s, overtaken = float("-inf"), 0
    for _, came_s in told:
        overtaken += came_s < latest_s - CLEARLY_LATER_S
        latest_s = max(latest_s, came_s)
    return overtaken


def _figures(lock_id: str, served: Sequence[Outcome]) -> IdFigures:
    waits = sorted(wait_of(outcome) for outcome in served)
    return IdFigures(
        lock_id,
        len(served),
        waits[len(waits) // 2],
        waits[-1],
        overtaken_of(served),
        overlaps_of(served),
        sum(outcome.worked_s or 0.0 for outcome in served),
    )


def _natural(lock_id: str) -> tuple[int, str]:
    return (int(lock_id), "") if lock_id.isdigit() else (0, lock_id)
