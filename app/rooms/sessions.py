"""Entering, renewing, leaving: a visitor's session, decided in one script each."""

from typing import NamedTuple

from app.errors import TurnOver
from app.rooms.replies import check_known
from app.rooms.room import Room
from app.rooms.rooms import SCRIPTS
from app.store import Store, keys


class Session(NamedTuple):
    """A session; times are the store's, in milliseconds since 1970."""

    epoch: int
    position: int
    now_ms: int
    started_ms: int
    ends_ms: int
    last_end_ms: int
    """Renewals reach no further than this."""

    @property
    def session_id(self) -> str:
        """A name for it, unique within its room."""
        return f"{self.epoch}-{self.position}"


class Sessions:
    """The sessions of all rooms."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def enter(self, room: Room, epoch: int, position: int, active_until_run_ms: int) -> Session:
        """Take up a turn; doing it again gives the same session.

        Raises:
            NotYourTurn: the visitor still waits.
            TurnOver: the turn or the visit is over.
            JoinsHeld: the room is healing, or not yet back in the store.
            StoreUnavailable: the outcome is unknown; entering again is harmless.
        """
        args = {"heal_ms": room.heal_ms, "epoch": epoch, "position": position, "until_run_ms": active_until_run_ms}
        reply = check_known(room.name, await self._store.run(SCRIPTS["enter"], room.keys, args))
        room.note_visit(epoch, position, reply[5], "e")
        return Session(epoch, position, *reply[1:5])

    async def renew(self, room: Room, epoch: int, position: int) -> Session:
        """Prolong a session.

        Raises:
            TurnOver: there is no live session.
            JoinsHeld: the room is healing, or not yet back in the store.
            StoreUnavailable: the outcome is unknown; renewing again is harmless.
        """
        args = {"heal_ms": room.heal_ms, "epoch": epoch, "position": position}
        reply = check_known(room.name, await self._store.run(SCRIPTS["renew"], room.keys, args))
        return Session(epoch, position, *reply[1:5])

    async def leave(self, room: Room, epoch: int, position: int) -> None:
        """End the visit, wherever in it the visitor is; what it held goes to the next at once. Idempotent.

        Raises:
            JoinsHeld: the room is healing, or not yet back in the store: a word to it now might be lost.
            StoreUnavailable: the outcome is unknown; leaving again is harmless.
        """
        reply = await self._store.run(
            SCRIPTS["leave"],
            {**room.keys, "audit": keys.room_audit(room.name)},
            {"heal_ms": room.heal_ms, "epoch": epoch, "who": "", "positions": [position]},
        )
        try:
            _, ended, seq = check_known(room.name, reply)
        except TurnOver:
            return  # a line that was started anew has forgotten this visit already
        if ended:
            room.note_visit(epoch, position, seq, "x")
