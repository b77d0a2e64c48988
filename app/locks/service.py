"""The locks as the rest of the program uses them: acquire, renew, release, look, and hold while working."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from app.errors import (
    Conflict,
    HoldAborted,
    LockHeld,
    LockLineFull,
    LockLost,
    LockWaitRanOut,
    StanchionError,
    StateUnreadable,
    StoreUnavailable,
)
from app.locks.held import HeldLocks
from app.locks.holding import kept
from app.locks.model import Grant, LockView, Status, Wanted
from app.locks.scripts import REMEMBER_MS, LockScripts, Place
from app.locks.waiters import Waiter, Waiters
from app.metrics import Metrics
from app.store import Store
from app.store.subscription import Subscription

SUBSCRIBE_LIMIT_S = 0.5
GIVE_UP_RETRY_S = 0.25
ENTRANCE = 32
"""How many may ask for a place in line at the same moment: a crowd that comes at once is to take its time here, where
it may wait, and neither the store's connections nor the patience of those who hold a lock already."""
CLOSE_LIMIT_S = 2.0


class LockService:
    """One replica's part in the locks. `listen` and `note_held` run in the background."""

    def __init__(self, store: Store, metrics: Metrics, replica: str, *, keep_ms: int, max_waiters: int) -> None:
        self._metrics = metrics
        self._scripts = LockScripts(store, metrics, replica, keep_ms, max_waiters)
        self._waiters = Waiters(self._scripts, metrics.lock_waiters.set)
        self._subscription = Subscription(store, self._scripts.channel, self._waiters.told)
        self._held = HeldLocks(self._scripts, metrics)
        self._loose_ends: set[asyncio.Task[Any]] = set()
        self._entrance = asyncio.Semaphore(ENTRANCE)

    async def acquire(self, wanted: Wanted) -> Grant:
        """Take the lock, standing in line for up to its `wait_ms`. Cancelling gives up the place, or the lock.

        Raises:
            LockHeld: it is held and there was no wish to wait.
            LockWaitRanOut: the wait is over.
            LockLineFull, Conflict: the line takes no more, or it is in use with another limit.
            StoreUnavailable: the store did not answer; nothing is kept.
        """
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        token = secrets.token_urlsafe(16)
        try:
            if wanted.wait_ms > 0:
                grant = await self._wait(wanted, token, started_s + wanted.wait_ms / 1000)
            else:
                place, asked_s = await self._ask_for_a_place(wanted, token)
                grant = _grant(wanted, token, place, asked_s)
        except (LockHeld, LockLineFull, Conflict) as error:
            self._metrics.lock_refusals.labels(_REASONS[type(error)]).inc()
            raise
        except BaseException as error:
            self._metrics.lock_refusals.labels(_REASONS.get(type(error), "gone")).inc()
            self._give_up_later(wanted.lock_id, token)
            raise
        grant = replace(grant, waited_s=grant.asked_s - started_s)
        self._metrics.lock_wait_seconds.observe(loop.time() - started_s)
        self._held.add(grant)
        return grant

    async def renew(self, lock_id: str, token: str, lease_ms: int) -> Grant:
        """Let a lease run from now.

        Raises:
            LockLost: the token does not hold the lock.
        """
        asked_s = asyncio.get_running_loop().time()
        try:
            place = await self._scripts.renew(lock_id, token, lease_ms)
        except LockLost:
            self._held.remove(token)
            raise
        grant = Grant(lock_id, token, place.fence, lease_ms, place.granted_ms, asked_s)
        self._held.add(grant)
        return grant

    async def release(self, lock_id: str, token: str) -> None:
        """Give up a lock; a repeat gets the same answer for a minute.

        Raises:
            LockLost: the token did not hold it.
        """
        self._held.remove(token)
        if not await self._scripts.release(lock_id, token, remember=True):
            raise LockLost("This token does not hold the lock: its lease has ended, or it never did.")

    async def look(self, lock_id: str) -> LockView:
        """How a lock stands."""
        return await self._scripts.look(lock_id)

    async def held(self, count: int) -> tuple[int, list[LockView]]:
        """For the operator: how many locks are held, and up to `count` of them."""
        return await self._held.listed(count)

    @asynccontextmanager
    async def holding(self, wanted: Wanted) -> AsyncIterator[Grant]:
        """Hold a lock while the block runs: renewed in time, and released when the block is left in whatever way.

        Raises:
            HoldAborted: the lease could not be renewed; the block was cancelled before it ended.
        """
        grant = await self.acquire(wanted)
        try:
            async with kept(grant, lambda grant: self.renew(grant.lock_id, grant.token, grant.lease_ms)):
                yield grant
        except HoldAborted:
            self._metrics.lock_losses.inc()
            raise
        finally:
            await asyncio.shield(self._tie_up(self._release_quietly(grant)))

    def give_up(self, grant: Grant) -> None:
        """Release in the background, for as long as it takes: nobody waits for the outcome."""
        self._held.remove(grant.token)
        self._give_up_later(grant.lock_id, grant.token)

    async def listen(self) -> None:
        """Hear of hand-overs; ends with an error when the connection does."""
        await self._subscription.run()

    async def note_held(self) -> None:
        """Keep the operator's list of held locks."""
        await self._held.keep_noting()

    async def aclose(self) -> None:
        """Let releases under way finish."""
        await self._waiters.aclose()
        if self._loose_ends:
            await asyncio.wait(self._loose_ends, timeout=CLOSE_LIMIT_S)
        left = list(self._loose_ends)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _wait(self, wanted: Wanted, token: str, deadline_s: float) -> Grant:
        waiter = Waiter(wanted, token, deadline_s)
        try:
            async with asyncio.timeout_at(deadline_s):
                with self._waiters.listening(waiter):
                    await self._until_listening()
                    async with self._entrance:
                        place, asked_s = await self._ask_for_a_place(wanted, token)
                    if place.status is Status.GRANTED:
                        return _grant(wanted, token, place, asked_s)
                    self._waiters.stands_in_line(waiter, place)
                    return await self._until_granted(waiter)
        except TimeoutError:
            raise LockWaitRanOut(
                "The lock did not become free within the wait; try again, or wait longer.", retry_after_s=1
            ) from None

    async def _ask_for_a_place(self, wanted: Wanted, token: str) -> tuple[Place, float]:
        """The place, and when it was asked for. Asked twice when need be: with the same token that is harmless."""
        loop = asyncio.get_running_loop()
        with suppress(StoreUnavailable):
            asked_s = loop.time()
            return await self._scripts.acquire(wanted, token, wait_ms=wanted.wait_ms), asked_s
        asked_s = loop.time()
        return await self._scripts.acquire(wanted, token, wait_ms=wanted.wait_ms), asked_s

    async def _until_listening(self) -> None:
        """Subscribed before the first try; but not for long, for the beat makes up for a channel that is down."""
        if not self._subscription.listening.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._subscription.listening.wait(), SUBSCRIBE_LIMIT_S)

    async def _until_granted(self, waiter: Waiter) -> Grant:
        """Wait for the hand-over, and confirm it."""
        loop = asyncio.get_running_loop()
        wanted = waiter.wanted
        while True:
            await waiter.news.wait()
            waiter.news.clear()
            if waiter.refusal is not None:
                raise waiter.refusal
            if waiter.place is not None:
                return _grant(wanted, waiter.token, waiter.place, waiter.asked_s)
            asked_s = loop.time()
            try:
                place = await self._scripts.renew(wanted.lock_id, waiter.token, wanted.lease_ms)
            except (LockLost, StoreUnavailable):
                # Lost: this replica was too slow. Away: the outcome is unknown. The beat finds out, and
                # gives the place back if the store has taken it away.
                await asyncio.sleep(0.05)
                self._waiters.poke(wanted.lock_id)
                continue
            return _grant(wanted, waiter.token, place, asked_s)

    async def _release_quietly(self, grant: Grant) -> None:
        self._held.remove(grant.token)
        try:
            await self._scripts.release(grant.lock_id, grant.token, remember=False)
        except StanchionError:
            self._give_up_later(grant.lock_id, grant.token)

    def _give_up_later(self, lock_id: str, token: str) -> None:
        self._tie_up(self._give_up(lock_id, token))

    async def _give_up(self, lock_id: str, token: str) -> None:
        """Release until the store has heard it. It is remembered there, so that a request for the lock which
        is still on its way finds it given up already."""
        loop = asyncio.get_running_loop()
        limit_s = loop.time() + REMEMBER_MS / 1000
        while loop.time() < limit_s:
            try:
                await self._scripts.release(lock_id, token, remember=True)
                return
            except StoreUnavailable:
                await asyncio.sleep(GIVE_UP_RETRY_S)

    def _tie_up(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._loose_ends.add(task)
        task.add_done_callback(self._loose_ends.discard)
        return task


_REASONS: dict[type[BaseException], str] = {
    LockHeld: "held",
    LockLineFull: "line_full",
    Conflict: "other_limit",
    LockWaitRanOut: "wait_ran_out",
    StoreUnavailable: "store_away",
    StateUnreadable: "store_away",
}


def _grant(wanted: Wanted, token: str, place: Place, asked_s: float) -> Grant:
    return Grant(wanted.lock_id, token, place.fence, wanted.lease_ms, place.granted_ms, asked_s)
