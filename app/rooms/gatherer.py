"""Gathering joins: those that arrive while a round trip is under way share the next one.

Redis sees one increment for a whole batch, whatever the crowd; a lone visitor waits for nobody. The numbers
are handed out in order of arrival. A batch carries an operation id, so that asking again after a lost reply
gives the same positions instead of new ones.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from app.clock import Clock
from app.errors import JoinsHeld, NotFound, StoreUnavailable
from app.rooms.replies import check, held
from app.store import Script, Store, keys
from app.store.scripts import Values

MAX_BATCH = 1000
HOLD_S = 1.0
"""How long a join is held while the room heals or the store is away, before it is refused."""
RETRY_WITHIN_S = 0.35
"""A batch is sent again only when it failed this fast: a slow failure leaves no time for another within a second."""
HOLD_STEP_S = 0.1
OPERATION_TTL_MS = 10_000
IDEMPOTENCY_TTL_MS = 600_000


class Place(NamedTuple):
    """A position as the store gave it out."""

    epoch: int
    position: int
    active_until_run_ms: int
    """Running time until which the turn lasts, when it began with the joining; else 0."""
    joined_ms: int
    ticket_id: str


class _Waiting(NamedTuple):
    result: "asyncio.Future[Place]"
    ticket_id: str
    idempotency_key: str | None
    deadline_s: float


class JoinGatherer:
    """The joins of one room on this replica."""

    def __init__(self, room: str, store: Store, script: Script, clock: Clock, heal_ms: int) -> None:
        self._room = room
        self._store = store
        self._script = script
        self._clock = clock
        self._heal_ms = heal_ms
        self._waiting: list[_Waiting] = []
        self._flushing: asyncio.Task[None] | None = None
        self.on_given: Callable[[int, int], None] = lambda epoch, last: None
        """Told the epoch and the highest position of every batch."""

    def join(self, ticket_id: str, idempotency_key: str | None = None) -> "asyncio.Future[Place]":
        """Take the next position, or the one that this idempotency key was given before. To be awaited.

        Raises:
            JoinsHeld: the room is healing, or not yet in the store, for longer than a join is held.
            RoomClosed: the room takes no more visitors.
            StoreUnavailable: the store did not answer; a repeat with the same idempotency key is harmless.
        """
        result: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(result, ticket_id, idempotency_key, self._clock.monotonic_s() + HOLD_S))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return result

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                # One that hung up before its turn here takes no place.
                batch = [entry for entry in batch if not entry.result.done()]
                if batch:
                    await self._settle(batch)
        finally:
            self._flushing = None

    async def _settle(self, batch: list[_Waiting]) -> None:
        try:
            reply = await self._ask(batch)
        except Exception as error:
            for entry in batch:
                if not entry.result.done():
                    entry.result.set_exception(error)
            return
        for entry, place in zip(batch, _places(batch, reply), strict=True):
            if not entry.result.done():
                entry.result.set_result(place)

    async def _ask(self, batch: list[_Waiting]) -> list[Any]:
        """The store's reply, held while the room heals, asked for again once after a quick failure."""
        op_id = secrets.token_hex(8)
        keyed = [(i, entry) for i, entry in enumerate(batch) if entry.idempotency_key is not None]
        script_keys: Values = {
            "state": keys.room_state(self._room),
            "windows": keys.room_windows(self._room),
            "operation": keys.room_operation(self._room, op_id),
            "idempotency": [keys.room_idempotency(self._room, entry.idempotency_key or "") for _, entry in keyed],
        }
        args: Values = {
            "count": len(batch),
            "heal_ms": self._heal_ms,
            "operation_ttl_ms": OPERATION_TTL_MS,
            "idempotency_ttl_ms": IDEMPOTENCY_TTL_MS,
            "keyed": [item for i, entry in keyed for item in (i, entry.ticket_id)],
        }
        started_s = self._clock.monotonic_s()
        deadline_s = min(entry.deadline_s for entry in batch)
        repeated = False
        while True:
            try:
                reply = check(self._room, await self._store.run(self._script, script_keys, args))
            except (JoinsHeld, NotFound) as error:
                # This replica knows the room: a store that does not has forgotten it, or has yet to be told of it.
                left_s = deadline_s - self._clock.monotonic_s()
                if left_s <= 0:
                    raise error if isinstance(error, JoinsHeld) else held(1.0) from error
                await asyncio.sleep(min(HOLD_STEP_S, left_s))
            except StoreUnavailable:
                if repeated or self._clock.monotonic_s() - started_s > RETRY_WITHIN_S:
                    raise
                repeated = True
            else:
                given = len(batch) - sum(1 for item in reply[7:] if item)
                self.on_given(reply[2], reply[3] + given - 1)
                return reply


def _places(batch: list[_Waiting], reply: list[Any]) -> list[Place]:
    """Hand the batch's positions out in order; a repeated idempotency key takes none."""
    _, now_ms, epoch, position, edge, _, until_run_ms, *repeats = reply
    repeat = iter(repeats)
    places = []
    for entry in batch:
        known = next(repeat) if entry.idempotency_key is not None else b""
        if known:
            places.append(_stored_place(known))
            continue
        places.append(Place(epoch, position, until_run_ms if position <= edge else 0, now_ms, entry.ticket_id))
        position += 1
    return places


def _stored_place(text: bytes) -> Place:
    epoch, position, active_until, joined_ms, ticket_id = text.decode().split(":", 4)
    return Place(int(epoch), int(position), int(active_until), int(joined_ms), ticket_id)
