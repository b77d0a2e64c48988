"""Entering, renewing, leaving: a visitor's session, decided in one script each; those of one moment go together."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from app.errors import JoinsHeld, NotYourTurn, StanchionError, TurnOver
from app.rooms.gatherer import HOLD_S, HOLD_STEP_S
from app.rooms.gathering import Gathering
from app.rooms.replies import Reply, check_known, error_of
from app.store import Script, Store, keys
from app.store.scripts import Values

MOST_AT_ONCE = 200
"""Visitors in one script, which keeps the store for some ten microseconds each."""
_NUMBERS = 5


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


class _Asked(NamedTuple):
    epoch: int
    position: int
    active_until_run_ms: int = 0


class Sessions:
    """The sessions of one room, as this replica asks for them."""

    def __init__(self, room: str, store: Store, scripts: dict[str, Script], heal_ms: int) -> None:
        self._room = room
        self._store = store
        self._scripts = scripts
        self._keys = keys.room_keys(room)
        self._ending_keys = {**self._keys, "audit": keys.room_audit(room), "barred": keys.room_barred(room)}
        self._heal_ms = heal_ms
        self._entering: Gathering[_Asked, Session] = Gathering(self._enter, MOST_AT_ONCE)
        self._renewing: Gathering[_Asked, Session] = Gathering(self._renew, MOST_AT_ONCE)
        self._leaving: Gathering[_Asked, None] = Gathering(self._leave, MOST_AT_ONCE)
        self._walking_in: Gathering[int, Session] = Gathering(self._walk_in, MOST_AT_ONCE)
        self.on_visit: Callable[[int, int, int, str], None] = lambda epoch, position, seq, kind: None
        """Told the epoch, position, sequence number and kind of what happened to a visit."""
        self.on_barred: Callable[[int, Sequence[int], int], None] = lambda epoch, positions, first_until_ms: None
        """Told the epoch and positions of holders kept from new places, and until when the first is; see leave.lua."""
        self.on_given: Callable[[int, int], None] = lambda epoch, last: None
        """Told the epoch and the highest position of newcomers let straight in."""
        self.on_edge: Callable[[int, int, int], None] = lambda epoch, edge, until_run_ms: None
        """Told the epoch, the edge, and the end of the newest turns."""

    async def enter(self, epoch: int, position: int, active_until_run_ms: int) -> Session:
        """Take up a turn; doing it again gives the same session.

        Raises:
            NotYourTurn: the visitor still waits.
            TurnOver: the turn or the visit is over.
            JoinsHeld: the room is healing, or not yet back in the store.
            StoreUnavailable: the outcome is unknown; entering again is harmless.
        """
        return await self._entering.ask(_Asked(epoch, position, active_until_run_ms))

    async def renew(self, epoch: int, position: int) -> Session:
        """Prolong a session.

        Raises:
            TurnOver: there is no live session.
            JoinsHeld: the room is healing, or not yet back in the store.
            StoreUnavailable: the outcome is unknown; renewing again is harmless.
        """
        return await self._renewing.ask(_Asked(epoch, position))

    async def walk_in(self, hold_s: float) -> Session:
        """A new place and at once a session of `hold_s` seconds, where nobody waits and there is room.

        Raises:
            NotYourTurn: somebody waits, or there is no room; no place was taken.
            JoinsHeld, RoomClosed, TurnedAway: as `Room.join`.
            StoreUnavailable: the outcome is unknown; a session begun unseen ends after `hold_s`.
        """
        return await self._walking_in.ask(round(hold_s * 1000))

    async def ends_ms(self, positions: Sequence[int]) -> list[int | None]:
        """When the sessions of these positions end, by the store's clock; None for those that are over.

        Raises:
            StoreUnavailable: that cannot be known now.
        """
        client, key, members = self._store.client, self._keys["sessions"], [str(position) for position in positions]
        scores = await self._store.ask(lambda: client.zmscore(key, members), about=[key])
        return [None if score is None else int(score) for score in scores]

    async def leave(self, epoch: int, position: int) -> None:
        """End the visit, wherever in it the visitor is; what it held goes to the next at once. Idempotent.

        Raises:
            JoinsHeld: the room is healing, or not yet back in the store, for longer than a leave is held: a word to it
                now might be lost.
            StoreUnavailable: the outcome is unknown; leaving again is harmless.
        """
        await self._leaving.ask(_Asked(epoch, position))

    async def revoke(self, epoch: int, position: int, bar_s: int) -> None:
        """End the visit, and in the same step keep its holder from a new place for `bar_s` seconds. Idempotent.

        Raises:
            JoinsHeld, StoreUnavailable: as `leave`; neither was done, or both.
        """
        with suppress(TurnOver):  # the visit is over, its holder is kept out
            await self._end_held(epoch, [position], bar_s)

    async def end(self, epoch: int, positions: Sequence[int], who: str, *, bar_s: int = 0) -> list[int]:
        """End the visits of some positions; those that were in line, on turn or in a session.

        Args:
            who: the operator, for the audit log; empty when the visitors do it themselves.
            bar_s: for how long the holders of all these places are kept from new ones, in the same step.

        Raises:
            TurnOver: the line was started anew; its holders are kept out all the same.
            JoinsHeld, StoreUnavailable: as `leave`.
        """
        args: Values = {
            "heal_ms": self._heal_ms,
            "epoch": epoch,
            "who": who,
            "bar_ms": bar_s * 1000,
            "positions": positions,
        }
        reply = await self._store.run(self._scripts["leave"], self._ending_keys, args)
        if bar_s > 0 and reply[0] in (Reply.OK, Reply.OTHER_EPOCH):
            self.on_barred(epoch, positions, reply[1])
        _, _, seq, *ended = check_known(self._room, reply)
        for position in ended:
            self.on_visit(epoch, position, seq, "x")
        return ended

    async def _leave(self, batch: list[_Asked]) -> list[None]:
        by_epoch: dict[int, list[int]] = {}
        for asked in batch:
            by_epoch.setdefault(asked.epoch, []).append(asked.position)
        for epoch, positions in by_epoch.items():
            with suppress(TurnOver):  # a line that was started anew has forgotten these visits already
                await self._end_held(epoch, positions)
        return [None] * len(batch)

    async def _end_held(self, epoch: int, positions: list[int], bar_s: int = 0) -> None:
        """End visits, held for a moment while the room heals: whoever says that a visit is over seldom says it twice."""
        deadline_s = time.monotonic() + HOLD_S
        while True:
            try:
                await self.end(epoch, positions, "", bar_s=bar_s)
            except JoinsHeld:
                if time.monotonic() > deadline_s:
                    raise
                await asyncio.sleep(HOLD_STEP_S)
            else:
                return

    async def _enter(self, batch: list[_Asked]) -> list[Session | StanchionError]:
        visitors = [number for asked in batch for number in asked]
        reply = await self._store.run(
            self._scripts["enter"], self._keys, {"heal_ms": self._heal_ms, "visitors": visitors}
        )
        return self._sessions(batch, check_known(self._room, reply))

    async def _renew(self, batch: list[_Asked]) -> list[Session | StanchionError]:
        visitors = [number for asked in batch for number in asked[:2]]
        reply = await self._store.run(
            self._scripts["renew"], self._keys, {"heal_ms": self._heal_ms, "visitors": visitors}
        )
        return self._sessions(batch, check_known(self._room, reply))

    def _sessions(self, batch: list[_Asked], reply: list[Any]) -> list[Session | StanchionError]:
        answers: list[Session | StanchionError] = []
        for asked, part in zip(batch, _parts(reply[2:]), strict=True):
            if part[0] != Reply.OK:
                answers.append(error_of(self._room, part))
                continue
            _, started_ms, ends_ms, last_end_ms, seq = part
            self.on_visit(asked.epoch, asked.position, seq, "e")
            answers.append(Session(asked.epoch, asked.position, reply[1], started_ms, ends_ms, last_end_ms))
        return answers

    async def _walk_in(self, holds_ms: list[int]) -> list[Session | StanchionError]:
        args = {"heal_ms": self._heal_ms, "count": len(holds_ms), "length_ms": max(holds_ms)}
        reply = check_known(self._room, await self._store.run(self._scripts["walk_in"], self._keys, args))
        _, now_ms, epoch, edge, until_run_ms, *let_in = reply
        answers: list[Session | StanchionError] = []
        for position, started_ms, ends_ms, last_end_ms, seq in _parts(let_in):
            self.on_given(epoch, position)
            self.on_visit(epoch, position, seq, "e")
            answers.append(Session(epoch, position, now_ms, started_ms, ends_ms, last_end_ms))
        if answers:
            self.on_edge(epoch, edge, until_run_ms)
        missing = len(holds_ms) - len(answers)
        return answers + [NotYourTurn("There is no room at once; take a place in line.", retry_after_s=1)] * missing


def _parts(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """A batch's reply, entry by entry."""
    return (numbers[i : i + _NUMBERS] for i in range(0, len(numbers), _NUMBERS))
