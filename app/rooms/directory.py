"""Which rooms there are: one versioned list in the store, so that a room made on one replica is served by all."""

from collections.abc import Iterable
from typing import Any

from app.store import Call, Script, keys

LIVE = "live:0"


class Directory:
    """This replica's copy of the list."""

    def __init__(self, scripts: dict[str, Script]) -> None:
        self._scripts = scripts
        self.version = -1
        self._states: dict[str, str] = {}
        self._lost = False

    @property
    def known(self) -> bool:
        """Whether the list has been read at least once."""
        return self.version >= 0

    def look(self, served: Iterable[str]) -> Call:
        """The call that reads what is new, and puts in what the list should hold."""
        missing = [name for name in served if name not in self._states]
        rooms = {**self._states, **dict.fromkeys(missing, LIVE)}
        told = [item for pair in rooms.items() for item in pair] if missing or self._lost else []
        return Call(
            self._scripts["index"],
            {"index": keys.ROOMS_INDEX},
            {"known_version": self.version, "rooms": told},
        )

    def take(self, reply: list[Any]) -> bool:
        """Take over the list; whether it has changed."""
        _, _, version, *flat = reply
        if (
            version < self.version
        ):  # asked for before what is known by now: the store never answers with less than was known
            return False
        if version == self.version:
            self._lost = False
            return False
        pairs = {flat[i].decode(): flat[i + 1].decode() for i in range(0, len(flat), 2)}
        # What was known and has vanished was lost by the server: nothing is ever taken off the list.
        self._lost = bool(self._states.keys() - pairs.keys())
        self.version = version
        self._states = {**self._states, **pairs}
        return True

    def live(self) -> list[str]:
        """Every room there is."""
        return [name for name, state in self._states.items() if state.startswith("live")]

    def gone(self) -> list[str]:
        """Rooms that an operator has deleted."""
        return [name for name, state in self._states.items() if state.startswith("gone")]

    def next_epoch(self, name: str) -> int:
        """The epoch that a room of this name has to begin with, so that no old ticket counts in it."""
        state = self._states.get(name, LIVE)
        return int(state.partition(":")[2]) + 1
