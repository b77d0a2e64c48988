"""What a replica knows of single visitors: who is in a session, has left, was passed over or came back.

The store hands these out by cursor with every look, so that /status can tell them without asking it. A later
sequence number says the newer thing.
"""

from collections.abc import Sequence
from typing import NamedTuple

from app.rooms.snapshot import Snapshot
from app.rooms.window import ACTIVE, CLOSED, ENDED, ENTERED, EXPIRED, PASSED, PAUSED, WAITING, Standing, standing

REMEMBER_MS = 3_600_000
"""How long an ended visit is told apart from a missed turn, at least; as in _visits.lua."""
CLOCKS_MS = 60_000
LONGEST_SESSION_MS = 604_800_000
"""What the settings allow at most: who entered longer ago is inside no more, whatever was missed."""
SWEEP_MS = 30_000
PAGE = 1500
"""Most visits that one look hands over; as in _snapshot.lua."""


class Mark(NamedTuple):
    """One visitor's latest news."""

    seq: int
    kind: str
    """`e` in a session, `x` ended, `p` passed over, `w` back at the front, `t` given a turn of their own."""
    until_run_ms: int
    """Running time at which the grace (`p`) or the turn (`t`) ends."""


class Marks:
    """The news of one room, by position."""

    def __init__(self) -> None:
        self.epoch = 0
        self.log_cursor = 0
        self.done_cursor = 0
        self.complete = False
        """Whether the last look brought all there was: until then an ended visit may not be known to have ended."""
        self._by_position: dict[int, Mark] = {}
        self._swept_ms = 0
        self._forgotten_ms = 0

    def get(self, position: int) -> Mark | None:
        """The news of a position, if there is any."""
        return self._by_position.get(position)

    def note(self, epoch: int, position: int, mark: Mark) -> None:
        """Take over one piece of news, unless something newer is known."""
        if epoch != self.epoch:
            return
        known = self._by_position.get(position)
        if known is None or mark.seq >= known.seq:
            self._by_position[position] = mark

    def take(self, snapshot: Snapshot, log: Sequence[str], done: Sequence[str]) -> None:
        """Take over what a look brought."""
        if snapshot.epoch > self.epoch:
            self.epoch = snapshot.epoch
            self._by_position.clear()
            self._forgotten_ms = 0
        if snapshot.epoch < self.epoch:
            return
        self.complete = len(log) < PAGE and len(done) < PAGE
        missed = self.done_cursor < snapshot.forgotten_ms * 1000 and self._forgotten_ms < snapshot.forgotten_ms
        self._forgotten_ms = snapshot.forgotten_ms
        for text in log:
            self.log_cursor = max(self.log_cursor, self._note_text(text))
        for text in done:
            self.done_cursor = max(self.done_cursor, self._note_text(text))
        if missed:
            self._ask_who_is_inside()
        if snapshot.now_ms - self._swept_ms > SWEEP_MS:
            self._sweep(snapshot)

    def ended(self, snapshot: Snapshot, position: int, issued_s: int) -> bool:
        """Whether the session of a pass signed at `issued_s` in the present epoch has been ended, as far as is known.

        Where endings were forgotten before their passes had run out, only what is known to be live is not ended.
        """
        mark = self._by_position.get(position)
        if mark is not None and mark.kind in "ex":
            return mark.kind == "x"
        return issued_s * 1000 <= snapshot.forgotten_ms

    def told(self, snapshot: Snapshot) -> list[str]:
        """What is known of every visitor, in the store's own form, to bring it back after a loss."""
        return [
            f"{position}:{mark.seq}:{mark.kind}:{mark.until_run_ms}"
            for position, mark in self._by_position.items()
            if mark.kind not in "pt" or mark.until_run_ms > snapshot.run_ms or position > snapshot.floor
        ]

    def read_anew(self) -> None:
        """Have the store hand out everything again: after a loss, what came back may lie before the cursors."""
        self.log_cursor = 0  # an ending that came back has a number of its own, later than all

    def _note_text(self, text: str) -> int:
        position, seq, kind, until = text.split(":")
        mark = Mark(int(seq), kind, int(float(until)))
        if kind != "x" or mark.seq > 0:
            self.note(self.epoch, int(position), mark)
        return mark.seq

    def _ask_who_is_inside(self) -> None:
        """Endings that never came here have been forgotten: who is inside is to be told anew."""
        self._by_position = {at: mark for at, mark in self._by_position.items() if mark.kind != "e"}
        self.log_cursor = 0
        self.complete = False

    def _sweep(self, snapshot: Snapshot) -> None:
        self._swept_ms = snapshot.now_ms
        remember_ms = max(REMEMBER_MS, snapshot.remember_ms + CLOCKS_MS)
        forgotten_seq = max((snapshot.now_ms - remember_ms) * 1000, snapshot.forgotten_ms * 1000)
        inside_seq = (snapshot.now_ms - LONGEST_SESSION_MS) * 1000
        over = [
            position
            for position, mark in self._by_position.items()
            if position <= snapshot.floor
            and (
                (mark.kind == "x" and mark.seq < forgotten_seq)
                or (mark.kind == "e" and mark.seq < inside_seq)
                or (mark.kind in "pt" and mark.until_run_ms + REMEMBER_MS < snapshot.run_ms)
            )
        ]
        for position in over:
            del self._by_position[position]


def visit_standing(
    snapshot: Snapshot, mark: Mark | None, epoch: int, position: int, active_until_run_ms: int
) -> Standing:
    """Where a ticket stands, with what is known of this very visitor; otherwise as `standing`."""
    if mark is None or epoch != snapshot.epoch:
        stand = standing(snapshot, epoch, position, active_until_run_ms)
    elif mark.kind == "e":
        return Standing(ENTERED, 0, 0)
    elif mark.kind == "x":
        return Standing(ENDED, 0, 0)
    elif mark.kind == "w":
        return Standing(PAUSED if snapshot.paused else WAITING, 0, 0)
    else:
        left_ms = mark.until_run_ms - snapshot.run_ms
        status = PASSED if mark.kind == "p" else ACTIVE
        stand = Standing(status, 0, left_ms) if left_ms > 0 else Standing(EXPIRED, 0, 0)
    if stand.status is EXPIRED and snapshot.closed:
        return Standing(CLOSED, 0, 0)
    return stand
