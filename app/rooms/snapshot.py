"""What a replica knows of a room at one moment, and how a newer look at the store is merged into it.

Within an epoch nothing in a snapshot ever moves back: when the store's answer lies behind what was seen
before, the store has lost writes, and the merged snapshot keeps what was seen.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import NamedTuple

Window = tuple[int, int]
"""`(edge, until_run_ms)`: positions up to `edge`, and the running time at which their turn ends."""

Gap = tuple[int, int]
"""`(after, to)`: positions after+1..to belong to nobody."""


MOST_KEPT_MS = 5_000


def kept_ms(active_ms: int) -> int:
    """How much longer than its visitor is told a turn is kept, for whoever could not be answered; as in _visits.lua."""
    return min(MOST_KEPT_MS, active_ms // 4)


@dataclass(frozen=True)
class Snapshot:
    """One room as last seen. Times that end in `run_ms` are on the room's own clock, which stands still at times."""

    room: str
    now_ms: int
    epoch: int
    version: int
    last: int
    edge: int
    floor: int
    run_ms: int
    ticked_at_ms: int
    moved_run_ms: int
    expires_run_ms: int
    paused: bool
    closed: bool
    size: int
    interval_ms: int
    active_ms: int
    settings_version: int
    heal_until_ms: int
    heal_from_ms: int
    heals: int
    gap_total: int
    peak: int
    gaps: tuple[Gap, ...] = ()
    windows: tuple[Window, ...] = ()
    window_edges: tuple[int, ...] = field(default=(), compare=False)
    counted: int = 0
    opened: int = 1
    draining: int = 0
    seq: int = 0
    admitted: int = 0
    remember_ms: int = 0
    """The longest time that any pass was given."""
    forgotten_ms: int = 0
    """0, or the server time up to which ended visits were forgotten while passes of them may live."""
    turns: int = 0
    sessions: int = 0
    front: int = 0
    due_ms: int = 0
    """Counted rooms: server time at which something is to be done; 0 when nothing is."""

    @property
    def healing(self) -> bool:
        """Whether joins are held while the replicas report."""
        return self.heal_until_ms > 0

    @property
    def quiet(self) -> bool:
        """Whether nobody waits and nobody's turn is open or kept, so that the room need not be ticked."""
        over_run_ms = self.expires_run_ms + kept_ms(self.active_ms)
        return self.last <= self.edge and self.run_ms >= over_run_ms and not self.healing

    def overdue(self, period_ms: int, unheard_ms: float) -> bool:
        """Whether whoever should have ticked this room has not done so for three periods, `unheard_ms` after this look."""
        return not self.quiet and self.now_ms + unheard_ms - self.ticked_at_ms > 3 * period_ms

    def due_in_ms(self) -> int | None:
        """Milliseconds of running time until the edge moves next; None when nobody waits or the clock stands."""
        if self.counted:
            return max(0, self.due_ms - self.now_ms) if self.due_ms else None
        if self.last <= self.edge or self.paused or self.healing or not self.opened:
            return None
        return self.to_next_move_ms

    def window_end(self, position: int) -> int | None:
        """The running time at which the turn of `position` ends, when its window is known."""
        index = bisect_left(self.window_edges, position)
        return self.windows[index][1] if index < len(self.windows) else None

    @cached_property
    def to_next_move_ms(self) -> int:
        """Milliseconds of running time until the edge may move again."""
        return max(0, self.moved_run_ms + self.interval_ms - self.run_ms)

    @cached_property
    def waiting(self) -> int:
        """How many positions wait beyond the edge."""
        return self.front + max(0, self.last - self.edge - gap_positions(self.gaps, self.edge, self.last))

    def ahead(self, position: int) -> int:
        """How many waiting positions stand before `position`."""
        between = position - 1 - self.edge
        if self.gaps:  # hardly ever, and every poll asks
            between -= gap_positions(self.gaps, self.edge, position - 1)
        return self.front + (between if between > 0 else 0)


_NUMBER_FIELDS = tuple(
    item.name for item in fields(Snapshot) if item.name not in ("room", "gaps", "windows", "window_edges")
)


def gap_positions(gaps: Sequence[Gap], after: int, to: int) -> int:
    """How many positions in after+1..to were left out."""
    return sum(max(0, min(end, to) - max(start, after)) for start, end in gaps)


class Look(NamedTuple):
    """What one look at the store brought back."""

    snapshot: Snapshot
    """With only the windows that are new."""
    settings: str
    """As JSON; '' when unchanged."""
    log: tuple[str, ...]
    done: tuple[str, ...]
    """Visits since the cursors, as "position:sequence:kind:until"; see `app.rooms.marks`."""
    bars: tuple[str, ...]
    """Bars since the cursor, as "place:until"; see `app.rooms.bars`."""


def parse_look(room: str, reply: Sequence[int | bytes]) -> Look:
    """Read the reply of observe.lua or tick.lua."""
    count = len(_NUMBER_FIELDS)
    numbers = dict(zip(_NUMBER_FIELDS, reply[1 : 1 + count], strict=True))
    gaps_text, settings, *rest = (_text(item) for item in reply[1 + count :])
    log_end = 1 + int(rest[0])
    done_end = log_end + 1 + int(rest[log_end])
    bars_end = done_end + 1 + int(rest[done_end])
    pairs = tuple(_pair(item) for item in rest[bars_end:])
    paused, closed = bool(numbers.pop("paused")), bool(numbers.pop("closed"))
    snapshot = Snapshot(
        room=room,
        gaps=tuple(_pair(item) for item in gaps_text.split(",") if item),
        windows=pairs,
        window_edges=tuple(edge for edge, _ in pairs),
        paused=paused,
        closed=closed,
        **{name: int(value) for name, value in numbers.items()},
    )
    log, done = tuple(rest[1:log_end]), tuple(rest[log_end + 1 : done_end])
    return Look(snapshot, settings, log, done, tuple(rest[done_end + 1 : bars_end]))


def _text(item: int | bytes) -> str:
    return item.decode() if isinstance(item, bytes) else str(item)


def _pair(text: str) -> tuple[int, int]:
    first, _, second = text.partition(":")
    return int(first), int(second)


def merge(known: Snapshot | None, seen: Snapshot, highest: tuple[int, int]) -> tuple[Snapshot, bool]:
    """Put a new look at the store together with what was known.

    Args:
        highest: the highest `(epoch, position)` that this replica had issued or seen when the look was asked for.

    Returns:
        The merged snapshot, and whether the store lies behind what was known: it has lost writes.
    """
    behind = (seen.epoch, seen.last) < highest
    if known is None or seen.epoch > known.epoch:
        return seen, behind
    if seen.epoch < known.epoch:
        return known, True
    behind = (
        behind
        or seen.last < known.last
        or seen.edge < known.edge
        or seen.run_ms < known.run_ms
        or seen.floor < known.floor
        or seen.settings_version < known.settings_version
    )
    floor = max(known.floor, seen.floor)
    set_last = known if known.settings_version > seen.settings_version else seen
    untils = dict(seen.windows) | dict(known.windows)
    windows = tuple((edge, untils[edge]) for edge in sorted(untils) if edge > floor)
    if not behind and windows == seen.windows and seen.version >= known.version:
        return seen, False
    merged = replace(
        seen,
        last=max(known.last, seen.last),
        edge=max(known.edge, seen.edge),
        floor=floor,
        run_ms=max(known.run_ms, seen.run_ms),
        moved_run_ms=max(known.moved_run_ms, seen.moved_run_ms),
        expires_run_ms=max(known.expires_run_ms, seen.expires_run_ms),
        version=max(known.version, seen.version),
        peak=max(known.peak, seen.peak),
        remember_ms=max(known.remember_ms, seen.remember_ms),
        forgotten_ms=max(known.forgotten_ms, seen.forgotten_ms),
        settings_version=set_last.settings_version,
        size=set_last.size,
        interval_ms=set_last.interval_ms,
        active_ms=set_last.active_ms,
        gaps=_gaps(known, seen),
        windows=windows,
        window_edges=tuple(edge for edge, _ in windows),
    )
    return merged, behind


def _gaps(known: Snapshot, seen: Snapshot) -> tuple[Gap, ...]:
    """What was left out as the store has it, and beyond its last position as it was known."""
    beyond = ((max(after, seen.last), to) for after, to in known.gaps if to > seen.last)
    return (*seen.gaps, *beyond)
