"""Sessions that passes prove and the last looks did not bring: the store has lost them, and is told of them again."""

from app.rooms.marks import Marks
from app.store import Call, Script
from app.store.scripts import Values

MAX_PROVEN = 1000
"""Passes remembered between two looks; of more, the rest is told of later, when they are used again."""


class ProvenSessions:
    """The passes of one room that are good and whose sessions are not known here."""

    def __init__(self, script: Script, keys: Values) -> None:
        self._script = script
        self._keys = keys
        self._shown: dict[int, int] = {}
        self._asked: dict[int, int] = {}
        self._lost: dict[int, int] = {}

    def note(self, position: int, expires_s: int) -> None:
        """A pass of the present epoch was shown, and nothing is known of its session."""
        if len(self._shown) < MAX_PROVEN:
            self._shown[position] = max(expires_s, self._shown.get(position, 0))

    def look_begins(self) -> None:
        """Whatever was shown by now, the look that is asked for now must bring, or the store has lost it."""
        self._asked |= self._shown
        self._shown = {}

    def look_came(self, marks: Marks) -> None:
        """Sort out what is known by now; of what is not, the store is to be told."""
        if not marks.complete:
            return
        for position, expires_s in self._asked.items():
            mark = marks.get(position)
            if mark is None or mark.kind not in "ex":
                self._lost[position] = expires_s
        self._asked = {}

    def forget(self) -> None:
        """The line was started anew."""
        self._shown, self._asked, self._lost = {}, {}, {}

    def calls(self, epoch: int) -> list[Call]:
        """The script call that tells the store, if there is anything to tell."""
        if not self._lost:
            return []
        passes = [number for position, expires_s in self._lost.items() for number in (position, expires_s * 1000)]
        return [Call(self._script, self._keys, {"epoch": epoch, "passes": passes})]

    def told(self) -> None:
        """The store has been told."""
        self._lost = {}
