"""Gathering joins: one increment for a whole batch, see `app.rooms.gathering`.

The numbers are handed out in order of arrival. A batch carries an operation id, so that asking again after a lost reply
gives the same positions instead of new ones.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.clock import Clock
from app.errors import JoinsHeld, NotFound, RoomFull, StanchionError, StateUnreadable, StoreUnavailable, TooManyJoins
from app.rooms.gathering import Gathering
from app.rooms.polling import MAX_POLL_S
from app.rooms.replies import barred, check, held
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
ADDRESS_WINDOW_MS = 60_000
FULL_RETRY_S = 30.0


@dataclass(frozen=True)
class Guest:
    """What a room asks of a joiner besides waiting."""

    person: str | None = None
    """A pseudonym: the same person has the same place."""
    person_ttl_ms: int = 0
    address: str | None = None
    address_limit: int = 0
    """How many new places the address may take in a minute."""


NOBODY = Guest()


class Place(NamedTuple):
    """A position as the store gave it out."""

    epoch: int
    position: int
    active_until_run_ms: int
    """Running time until which the turn lasts, when it began with the joining; else 0."""
    joined_ms: int
    ticket_id: str


class _Waiting(NamedTuple):
    ticket_id: str
    idempotency_key: str | None
    deadline_s: float
    guest: Guest = NOBODY

    @property
    def special(self) -> bool:
        """Whether the store has to look at this one by itself."""
        return self.idempotency_key is not None or self.guest is not NOBODY

    def keys(self, room: str) -> list[str]:
        """The special keys, as join.lua takes them."""
        found = []
        if self.guest.person is not None:
            found.append(keys.room_identity(room, self.guest.person))
        elif self.idempotency_key is not None:
            found.append(keys.room_idempotency(room, self.idempotency_key))
        if self.guest.address is not None:
            found.append(keys.room_address(room, self.guest.address))
        return found

    def args(self, index: int) -> tuple[int | str, ...]:
        """The special arguments, as join.lua takes them."""
        person = self.guest.person is not None
        keyed_ttl_ms = IDEMPOTENCY_TTL_MS if self.idempotency_key is not None else 0
        ttl_ms = self.guest.person_ttl_ms if person else keyed_ttl_ms
        limit = self.guest.address_limit if self.guest.address is not None else 0
        return index, self.ticket_id, ttl_ms, int(person), limit


class JoinGatherer:
    """The joins of one room on this replica."""

    def __init__(self, room: str, store: Store, script: Script, clock: Clock, heal_ms: int) -> None:
        self._room = room
        self._state_key = keys.room_keys(room)["state"]
        self._store = store
        self._script = script
        self._clock = clock
        self._heal_ms = heal_ms
        self._gathering: Gathering[_Waiting, Place] = Gathering(self._places, MAX_BATCH)
        self.on_given: Callable[[int, int], None] = lambda epoch, last: None
        """Told the epoch and the highest position of every batch."""
        self.on_edge: Callable[[int, int, int], None] = lambda epoch, edge, until_run_ms: None
        """Told the epoch, the edge, and the end of the newest turns."""

    def join(
        self, ticket_id: str, idempotency_key: str | None = None, guest: Guest = NOBODY
    ) -> "asyncio.Future[Place]":
        """Take the next position, or the one that this idempotency key (or this person) was given before.

        To be awaited.

        Raises:
            JoinsHeld: the room is healing, or not yet in the store, for longer than a join is held.
            RoomClosed, RoomFull, TurnedAway: the room takes no more visitors.
            TooManyJoins: the address has taken as many places as it may for now.
            StoreUnavailable: the store did not answer; a repeat with the same idempotency key is harmless.
        """
        deadline_s = self._clock.monotonic_s() + HOLD_S
        return self._gathering.ask(_Waiting(ticket_id, idempotency_key, deadline_s, guest))

    async def _places(self, batch: list[_Waiting]) -> list[Place | StanchionError]:
        special_keys = [key for entry in batch if entry.special for key in entry.keys(self._room)]
        reply = await self._ask(batch, special_keys)
        with self._store.reading(self._state_key, *special_keys):
            return _places(batch, reply)

    async def _ask(self, batch: list[_Waiting], special_keys: list[str]) -> list[Any]:
        """The store's reply, held while the room heals, asked for again once after a quick failure."""
        op_id = secrets.token_hex(8)
        special = [(i, entry) for i, entry in enumerate(batch) if entry.special]
        script_keys: Values = {
            **keys.room_keys(self._room),
            "operation": keys.room_operation(self._room, op_id),
            "barred": keys.room_barred(self._room),
            "special": special_keys,
        }
        args: Values = {
            "count": len(batch),
            "heal_ms": self._heal_ms,
            "operation_ttl_ms": OPERATION_TTL_MS,
            "address_window_ms": ADDRESS_WINDOW_MS,
            "told_ms": round(MAX_POLL_S * 1000),
            "special": [item for i, entry in special for item in entry.args(i)],
        }
        started_s = self._clock.monotonic_s()
        deadline_s = batch[0].deadline_s
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
            except StateUnreadable:
                raise
            except StoreUnavailable:
                if repeated or self._clock.monotonic_s() - started_s > RETRY_WITHIN_S:
                    raise
                repeated = True
            else:
                self.on_given(reply[2], reply[3] + reply[7] - 1)
                self.on_edge(reply[2], reply[4], reply[6])
                return reply


def _places(batch: list[_Waiting], reply: list[Any]) -> list[Place | StanchionError]:
    """Hand the batch's positions out in order; whoever has a place already, or may have none, takes none."""
    _, now_ms, epoch, first, edge, _, until_run_ms, given, *answers = reply
    answer_of = iter(answers)
    position = first
    places: list[Place | StanchionError] = []
    for entry in batch:
        answer = next(answer_of) if entry.special else b""
        if answer[:1] == b"!":
            places.append(_too_many(int(answer[1:]) / 1000))
        elif answer[:1] == b"-":
            places.append(barred(int(answer[1:]) / 1000))
        elif answer:
            places.append(_stored_place(answer))
        elif position - first >= given:
            places.append(RoomFull("As many wait here as may wait; try again later.", retry_after_s=FULL_RETRY_S))
        else:
            places.append(Place(epoch, position, until_run_ms if position <= edge else 0, now_ms, entry.ticket_id))
            position += 1
    return places


def _too_many(wait_s: float) -> TooManyJoins:
    return TooManyJoins(
        "This address has taken as many places as it may for now; try again later.", retry_after_s=wait_s
    )


def _stored_place(text: bytes) -> Place:
    epoch, position, active_until, joined_ms, ticket_id = text.decode().split(":", 4)
    return Place(int(epoch), int(position), int(active_until), int(joined_ms), ticket_id)
