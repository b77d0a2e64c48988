"""Those who wait for locks at this replica: told by the channel, and looked after by a beat.

The channel brings hand-overs at once. The beat of each lock that is waited for, at most `BEAT_S` apart,
makes the channel's losses harmless: it says that this replica is alive, takes over when a holder's lease
has ended, and puts waiters that the store has forgotten (a restart, a failover) back at their place.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice

from app.errors import LockLost, StanchionError, StoreUnavailable
from app.locks.model import Status, Wanted
from app.locks.scripts import LockScripts, Place
from app.logs import get_logger

log = get_logger(__name__)

BEAT_S = 0.75
"""Below a second, so that what was lost is made up for within one."""
BEAT_TOKENS = 500
"""How many waiters one beat asks for; a longer line takes turns."""


@dataclass(eq=False)
class Waiter:
    """One request that stands in line."""

    wanted: Wanted
    token: str
    deadline_s: float
    """When the wait is over, on the loop's clock."""
    arrival: int = 0
    """Its place in line (0 until the store has given one)."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there may be a hand-over to confirm, or one of the two below."""
    place: Place | None = None
    """Granted at once when it was put back in line."""
    asked_s: float = 0.0
    """When that was asked for."""
    refusal: StanchionError | None = None
    """Why it cannot go on waiting."""


class Waiters:
    """The waiting of one replica."""

    def __init__(self, scripts: LockScripts, on_count: Callable[[int], None]) -> None:
        self._scripts = scripts
        self._on_count = on_count
        self._by_token: dict[str, Waiter] = {}
        self._by_lock: dict[str, dict[str, Waiter]] = {}
        self._tending: dict[str, asyncio.Task[None]] = {}
        self._poked: dict[str, asyncio.Event] = {}

    def told(self, message: str) -> None:
        """A message of the channel: `token fence` of a hand-over."""
        waiter = self._by_token.get(message.partition(" ")[0])
        if waiter is not None:
            waiter.news.set()

    def poke(self, lock_id: str) -> None:
        """Have the lock's next beat right now."""
        event = self._poked.get(lock_id)
        if event is not None:
            event.set()

    @contextmanager
    def listening(self, waiter: Waiter) -> Iterator[None]:
        """Hear of hand-overs to this waiter; begins before the store is asked, so that none is missed."""
        self._by_token[waiter.token] = waiter
        self._on_count(len(self._by_token))
        try:
            yield
        finally:
            del self._by_token[waiter.token]
            self._on_count(len(self._by_token))
            line = self._by_lock.get(waiter.wanted.lock_id)
            if line is not None:
                line.pop(waiter.token, None)

    def stands_in_line(self, waiter: Waiter, place: Place) -> None:
        """The store has given this waiter a place; from now on the beat looks after it."""
        waiter.arrival = place.arrival
        lock_id = waiter.wanted.lock_id
        self._by_lock.setdefault(lock_id, {})[waiter.token] = waiter
        if lock_id not in self._tending:
            self._poked[lock_id] = asyncio.Event()
            self._tending[lock_id] = asyncio.create_task(self._tend(lock_id, place.next_end_ms), name="lock-beat")

    async def aclose(self) -> None:
        """Stop looking after anybody."""
        tasks = list(self._tending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tend(self, lock_id: str, next_end_ms: int) -> None:
        """Beat for one lock until nobody waits for it here."""
        poked = self._poked[lock_id]
        line = self._by_lock[lock_id]
        pause_s = next_pause_s(next_end_ms)
        try:
            while line:
                with suppress(TimeoutError):
                    await asyncio.wait_for(poked.wait(), pause_s)
                poked.clear()
                tokens = tuple(islice(line, BEAT_TOKENS))
                if not tokens:
                    break
                if len(line) > len(tokens):
                    for token in tokens:
                        line[token] = line.pop(token)
                try:
                    pause_s = next_pause_s(await self._beat(lock_id, tokens))
                except StoreUnavailable:
                    pause_s = BEAT_S / 2
                except Exception:
                    log.exception("lock_beat_failed")
                    pause_s = BEAT_S
        finally:
            del self._by_lock[lock_id], self._tending[lock_id], self._poked[lock_id]

    async def _beat(self, lock_id: str, tokens: Sequence[str]) -> int:
        beat = await self._scripts.beat(lock_id, tokens)
        for token in beat.granted:
            if token in self._by_token:
                self._by_token[token].news.set()
        lost = [self._by_token[token] for token in beat.unknown if token in self._by_token]
        for waiter in sorted(lost, key=lambda waiter: waiter.arrival):
            await self._put_back(waiter)
        return beat.next_end_ms

    async def _put_back(self, waiter: Waiter) -> None:
        """Give a waiter that the store has forgotten its old place."""
        loop = asyncio.get_running_loop()
        left_ms = int((waiter.deadline_s - loop.time()) * 1000)
        if waiter.place is not None or left_ms <= 0:
            return
        asked_s = loop.time()
        try:
            place = await self._scripts.acquire(waiter.wanted, waiter.token, wait_ms=left_ms, arrival=waiter.arrival)
        except LockLost:
            return  # it was given up meanwhile
        except StoreUnavailable:
            raise
        except StanchionError as error:
            waiter.refusal = error
        else:
            if place.status is not Status.GRANTED:
                return
            waiter.place, waiter.asked_s = place, asked_s
        waiter.news.set()


def next_pause_s(next_end_ms: int) -> float:
    """Until the next beat: when the holder's lease ends, but soon enough to make up for a lost message.

    The jitter keeps the replicas from asking all at the same moment.
    """
    longest = random.uniform(0.8, 1.0) * BEAT_S
    if next_end_ms <= 0:
        return longest
    return min(longest, next_end_ms / 1000 + random.uniform(0.002, 0.02))
