"""How long a wait may take: a middle and a range, from how the line has moved of late.

The line's movement over the last minutes is cut into blocks. What the coming blocks bring is taken to be like
the past ones: so many on average, spread as they were, with the average itself known only as well as the number
of blocks allows. The range is where the line then reaches a place with about four chances in five; a test says how
often the truth falls inside.
"""

from collections import deque
from math import sqrt
from typing import NamedTuple

from app.rooms.settings import Method, RoomSettings
from app.rooms.snapshot import Snapshot

BLOCK_MS = 5_000
BLOCKS = 60
GROUP = 6
"""Movement that comes in bursts looks calmer in short blocks than it is; blocks are also looked at in groups."""
FEWEST_BLOCKS = 3
Z = 1.45
"""Standard errors to either side. Four in five would take 1.28 if the past were known for sure."""


class Pace(NamedTuple):
    """How a line moves: places per block, their variance, and how many blocks that was seen over."""

    mean: float
    variance: float
    blocks: int


class Wait(NamedTuple):
    """Milliseconds of running time until a turn: what to expect, and a range; no high when it cannot be told."""

    expected_ms: float
    low_ms: float
    high_ms: float | None


class PaceKeeper:
    """Watches one line through its snapshots."""

    def __init__(self) -> None:
        self._epoch = 0
        self._began: tuple[int, int] = (0, 0)
        self._blocks: deque[int] = deque(maxlen=BLOCKS)
        self.pace: Pace | None = None

    def note(self, snapshot: Snapshot) -> None:
        """Take a look into account."""
        run_ms, served = snapshot.run_ms, snapshot.edge - snapshot.front
        began_ms, began_served = self._began
        if snapshot.epoch != self._epoch or snapshot.waiting == 0 or run_ms < began_ms:
            # A line in which nobody waits says nothing about the pace it could go at.
            if snapshot.epoch != self._epoch:
                self._blocks.clear()
                self.pace = None
            self._epoch, self._began = snapshot.epoch, (run_ms, served)
            return
        passed = min((run_ms - began_ms) // BLOCK_MS, BLOCKS)
        if passed == 0:
            return
        moved = max(0, served - began_served)
        for i in range(passed):
            self._blocks.append(moved * (i + 1) // passed - moved * i // passed)
        self._began = (began_ms + passed * BLOCK_MS if passed < BLOCKS else run_ms, served)
        self.pace = pace_of(list(self._blocks))


def pace_of(blocks: list[int]) -> Pace | None:
    """The pace that some blocks show; None while they are too few, or nothing moved."""
    count = len(blocks)
    if count < FEWEST_BLOCKS or sum(blocks) == 0:
        return None
    mean = sum(blocks) / count
    variance = sum((block - mean) ** 2 for block in blocks) / (count - 1)
    groups = [sum(blocks[i : i + GROUP]) for i in range(count % GROUP, count, GROUP)]
    if len(groups) >= FEWEST_BLOCKS:
        group_mean = sum(groups) / len(groups)
        variance = max(variance, sum((g - group_mean) ** 2 for g in groups) / (len(groups) - 1) / GROUP)
    return Pace(mean, max(variance, mean * 0.05), count)


def wait_by_pace(pace: Pace, ahead: int) -> Wait:
    """The wait of whoever has `ahead` places before them.

    The place is reached after n blocks when n·mean ± Z·√(n·variance·(1 + n/blocks)) = ahead + 1, solved for n.
    """
    places = ahead + 1
    slack = Z * Z * pace.variance
    a = pace.mean**2 - slack / pace.blocks
    b = 2 * pace.mean * places + slack
    expected = places / pace.mean
    if a <= 0:  # too little is known to say how late it may get
        return Wait(expected * BLOCK_MS, places * places / b * BLOCK_MS, None)
    root = sqrt(max(0.0, b * b - 4 * a * places * places))
    low, high = (b - root) / (2 * a), (b + root) / (2 * a)
    return Wait(expected * BLOCK_MS, max(0.0, low - 1) * BLOCK_MS, (high + 1) * BLOCK_MS)


def wait_without_pace(snapshot: Snapshot, ahead: int, rate_per_minute: float | None, max_active: int | None) -> Wait:
    """The wait before anything has moved: as the limits say, and open to the late side."""
    by_rate_ms = (ahead + 1) * 60_000 / rate_per_minute if rate_per_minute else 0.0
    by_cap_ms = (ahead // max_active + 1) * snapshot.active_ms if max_active else 0.0
    due_ms = snapshot.due_in_ms() or 0
    return Wait(max(by_rate_ms, by_cap_ms, due_ms), by_rate_ms, None)


def wait_until_open(snapshot: Snapshot, opens_ms: float, ahead: int, settings: RoomSettings) -> Wait:
    """The wait in a room that opens in `opens_ms`: until then, and then as the limits say, open to the late side.

    Whoever stands further back is told so: a crowd that was all told the opening would all ask at that moment.
    """
    if settings.method is Method.PASSTHROUGH:
        return Wait(opens_ms, opens_ms, None)
    by_batches_ms = ahead // snapshot.size * snapshot.interval_ms if settings.paced_by_batches else 0
    by_rate_ms = (
        max(0, ahead + 1 - settings.burst) * 60_000 / settings.rate_per_minute if settings.rate_per_minute else 0
    )
    by_cap_ms = ahead // settings.max_active * snapshot.active_ms if settings.max_active else 0
    surely_ms = opens_ms + max(by_batches_ms, by_rate_ms)
    return Wait(max(surely_ms, opens_ms + by_cap_ms), surely_ms, None)


def wait_by_batches(expected_ms: float) -> Wait:
    """The wait where only batches pace the line: its clock says it, give or take a look and a late leader."""
    return Wait(expected_ms, expected_ms - 1000 if expected_ms > 1000 else 0.0, expected_ms + 3000)
