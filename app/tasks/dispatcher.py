"""Claims that wait for work: long polling without polling the store.

One subscription a replica hears of work for waiting claims, whatever the number of waiting workers. Nothing
is ever popped by a blocking call: a wake-up is only a hint, and a script then claims. Before a claim starts
to wait it has found nothing and, in the same step, left word of what it waits for; so there is no moment in
which work can come unnoticed. Should a wake-up be lost with its connection, a look every two seconds
finds the work all the same.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.errors import StoreUnavailable
from app.logs import get_logger
from app.store import Store
from app.store.keys import TASK_WAKE
from app.store.subscription import Subscription
from app.tasks.model import Task
from app.tasks.queues import Claim, TaskQueues

log = get_logger(__name__)

LOOK_EVERY_S = 2.0
SUBSCRIBE_LIMIT_S = 0.5
"""A claim waits no longer for the subscription; without it, work is found by looking."""
_SLICE_S = 0.5
_AT_ONCE = 32


@dataclass(eq=False)
class _Waiter:
    claim: Claim
    found: "asyncio.Future[list[Task]]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Dispatcher:
    """Hands work to the claims that wait on this replica, in the order in which they came."""

    def __init__(self, queues: TaskQueues, store: Store, is_draining: Callable[[], bool]) -> None:
        self._queues = queues
        self._store = store
        self._is_draining = is_draining
        self._waiting: dict[str, list[_Waiter]] = {}
        self._wakes: dict[str, int] = {}
        """How many wake-ups came for the queues that somebody claims from here, of late."""
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._wanted = asyncio.Event()
        self._subscription = Subscription(store, TASK_WAKE, self._on_wake)
        self._given_back: set[asyncio.Task[Any]] = set()

    @property
    def waiting(self) -> int:
        """How many claims wait on this replica."""
        return sum(len(waiters) for waiters in self._waiting.values())

    async def claim(self, claim: Claim, wait_s: float, gone: "asyncio.Future[None] | None" = None) -> list[Task]:
        """Lease tasks, waiting up to `wait_s` for the first one.

        `gone` is completed when the client has hung up: then nothing is handed out any more. The caller gives back
        what it cannot deliver; it must not cancel this call, for a claim under way cannot be recalled.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        if wait_s <= 0:
            return await self._queues.claim(claim)
        await self._until_listening()
        while True:
            heard = self._wakes.setdefault(claim.queue, 0)
            tasks = await self._queues.claim(claim, arm=True)
            if tasks:
                return tasks
            if self._wakes.get(claim.queue) == heard:
                break
        waiter = _Waiter(claim)
        self._waiting.setdefault(claim.queue, []).append(waiter)
        try:
            while not waiter.found.done():
                left_s = deadline - loop.time()
                if left_s <= 0 or (gone is not None and gone.done()) or self._is_draining():
                    break
                watched: set[asyncio.Future[Any]] = {waiter.found} if gone is None else {waiter.found, gone}
                await asyncio.wait(watched, timeout=min(left_s, _SLICE_S), return_when=asyncio.FIRST_COMPLETED)
            return waiter.found.result() if waiter.found.done() else []
        finally:
            self._forget(waiter)
            waiter.found.cancel()

    def give_back(self, tasks: list[Task]) -> None:
        """Return tasks that nobody can take delivery of, in the background; a lease left over ends by itself."""
        if not tasks:
            return

        async def release() -> None:
            for queue in {task.queue for task in tasks}:
                entries = [(task.id, task.token or "") for task in tasks if task.queue == queue]
                with contextlib.suppress(StoreUnavailable):
                    await self._queues.release(queue, entries)

        returning = asyncio.ensure_future(release())
        self._given_back.add(returning)
        returning.add_done_callback(self._given_back.discard)

    async def _until_listening(self) -> None:
        """What is published before the server has confirmed the subscription would not be heard."""
        self._wanted.set()
        if not self._subscription.listening.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._subscription.listening.wait(), SUBSCRIBE_LIMIT_S)

    def _forget(self, waiter: _Waiter) -> None:
        waiters = self._waiting.get(waiter.claim.queue, [])
        with contextlib.suppress(ValueError):
            waiters.remove(waiter)
        if not waiters:
            self._waiting.pop(waiter.claim.queue, None)

    async def listen(self) -> None:
        """Hear wake-ups, from the first waiting claim on. A background loop; it starts again after errors."""
        await self._wanted.wait()
        await self._subscription.run()

    async def look_now_and_then(self) -> None:
        """Look for work for all that wait, should a wake-up have been lost. A background loop."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            # A claim that is on its way to the store, and so not waiting yet, then asks once more.
            self._wakes = {queue: count for queue, count in self._wakes.items() if queue in self._waiting}
            for queue in list(self._waiting):
                self._serve_soon(queue)

    async def aclose(self) -> None:
        """Let what is being handed out or given back come to its end."""
        pending = [*self._serving.values(), *self._given_back]
        if pending:
            await asyncio.wait(pending, timeout=2.0)

    def _on_wake(self, queue: str) -> None:
        if queue in self._wakes:
            self._wakes[queue] += 1
        self._serve_soon(queue)

    def _serve_soon(self, queue: str) -> None:
        if queue in self._waiting and queue not in self._serving:
            self._serving[queue] = asyncio.ensure_future(self._serve(queue))

    async def _serve(self, queue: str) -> None:
        """Claim for the waiting until there is nothing left for any of them."""
        try:
            while True:
                heard = self._wakes.get(queue, 0)
                for types in {waiter.claim.types for waiter in self._waiting.get(queue, ())}:
                    await self._serve_types(queue, types)
                if self._wakes.get(queue, 0) == heard:
                    return
        except StoreUnavailable:
            log.warning("waiting_claims_lost_the_store", queue=queue)
        except Exception:
            log.exception("waiting_claims_failed", queue=queue)
        finally:  # in the same turn of the loop as the last look: a wake-up right after it begins another round
            del self._serving[queue]

    async def _serve_types(self, queue: str, types: tuple[str, ...]) -> None:
        """In order of arrival: first for one, then for twice as many at a time as long as there is work."""
        at_once = 1
        while True:
            waiters = [
                waiter
                for waiter in self._waiting.get(queue, ())
                if waiter.claim.types == types and not waiter.found.done()
            ][:at_once]
            if not waiters:
                return
            calls = [self._queues.claim_call(waiter.claim, arm=True) for waiter in waiters]
            replies = await self._store.run_many(calls)
            served, failure = 0, None
            for waiter, reply in zip(waiters, replies, strict=True):
                if isinstance(reply, Exception):
                    failure = reply
                    continue
                tasks = self._queues.claimed(queue, reply)
                served += bool(tasks)
                if tasks and waiter.found.done():
                    self.give_back(tasks)
                elif tasks:
                    waiter.found.set_result(tasks)
                    self._forget(waiter)
            if failure is not None:
                raise failure
            if served < len(waiters):
                return
            at_once = min(2 * at_once, _AT_ONCE)
