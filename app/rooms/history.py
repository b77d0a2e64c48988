"""Rooms over time: a sample of each every five seconds, an hour of them, in the store, so that every replica shows the same.

Any replica may write the sample of a stretch of time, and the first one does; the leader sees to it, and whoever has
polls to report. A room that stands empty and does not change is left alone.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from app.errors import StateUnreadable
from app.rooms.room import Room
from app.rooms.rooms import SCRIPTS, Rooms
from app.rooms.series import EVERY_MS, KEEP, SMOOTH_MS, Point, Rates, Sample, parse_sample, series
from app.store import Call, Store, keys

TTL_MS = 2 * 3600 * 1000
ROOMS_AT_ONCE = 250
RECENT = SMOOTH_MS // EVERY_MS + 1


class History:
    """One replica's part in writing the samples, and the way to read them."""

    def __init__(self, rooms: Rooms, store: Store, leads: Callable[[], bool]) -> None:
        self._rooms = rooms
        self._store = store
        self._leads = leads
        self._written: dict[str, Any] = {}
        """What of a room was last written down, so that nothing is written twice."""

    async def run(self) -> None:
        """Write samples for ever; what an outage keeps from being written is left out."""
        while True:
            await asyncio.sleep(EVERY_MS / 1000)
            await self.step()

    async def step(self) -> None:
        """Write down what is to be written now.

        Raises:
            StoreUnavailable: it was not written; the polls are reported the next time.
        """
        due = [room for room in self._rooms.all() if self._is_due(room)]
        for i in range(0, len(due), ROOMS_AT_ONCE):
            await self._write(due[i : i + ROOMS_AT_ONCE])
        for name in self._written.keys() - {room.name for room in self._rooms.all()}:
            del self._written[name]

    def _is_due(self, room: Room) -> bool:
        seen = room.snapshot
        if seen is None or room.stale:
            return False
        if room.polls:
            return True
        return self._leads() and (not seen.quiet or self._written.get(room.name) != _shape(room))

    async def _write(self, rooms: list[Room]) -> None:
        taken = [(room, room.polls, _shape(room)) for room in rooms]
        replies = await self._store.run_many(
            [self._sample(room, polls) for room, polls, _ in taken], purpose="background"
        )
        for (room, polls, shape), reply in zip(taken, replies, strict=True):
            if not isinstance(reply, Exception):
                room.polls -= polls
                self._written[room.name] = shape

    def _sample(self, room: Room, polls: int) -> Call:
        wait = room.wait_of_newcomer()
        args = {
            "every_ms": EVERY_MS,
            "keep": KEEP,
            "ttl_ms": TTL_MS,
            "polls": polls,
            "wait_s": -1 if wait is None else round(wait.expected_ms / 1000),
        }
        return Call(SCRIPTS["sample"], {**room.keys, **keys.room_history(room.name)}, args)

    async def points(self, name: str, since_ms: int = 0) -> list[Point]:
        """A room's last hour, or what is new in it after `since_ms` (server time).

        Raises:
            StoreUnavailable: the store did not answer.
        """
        key = keys.room_history(name)["history"]
        now_ms, *samples = await self._store.run(SCRIPTS["samples"], {"history": key}, {"count": KEEP})
        with self._store.reading(key):
            parsed = _parse(samples)
        return [point for point in series(parsed, now_ms) if point.at_ms > since_ms]

    async def rates(self) -> dict[str, Rates]:
        """How every room moves just now.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        rooms = self._rooms.all()
        rates: dict[str, Rates] = {}
        for i in range(0, len(rooms), ROOMS_AT_ONCE):
            part = rooms[i : i + ROOMS_AT_ONCE]
            calls = [
                Call(SCRIPTS["samples"], {"history": keys.room_history(room.name)["history"]}, {"count": RECENT + 1})
                for room in part
            ]
            for room, reply in zip(part, await self._store.run_many(calls, purpose="background"), strict=True):
                if isinstance(reply, Exception):
                    continue
                now_ms, *samples = reply
                with suppress(StateUnreadable), self._store.reading(keys.room_history(room.name)["history"]):
                    points = series(_parse(samples), now_ms)
                    rates[room.name] = points[-1].rates if points else Rates()
        return rates


def _shape(room: Room) -> Any:
    """What changes when there is something to write down."""
    seen = room.snapshot
    return seen and (seen.epoch, seen.version, seen.last, seen.edge, seen.turns, seen.sessions, seen.front, seen.floor)


def _parse(samples: list[bytes]) -> list[Sample]:
    return [parse_sample(sample.decode()) for sample in reversed(samples)]
