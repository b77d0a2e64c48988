"""The worker: takes tasks over HTTP, runs their handlers, and says what became of them.

It holds no more tasks than it has hands, keeps their leases by itself, and never reports on a task that is
no longer its own. Asked to stop, it takes no more, lets what runs come to its end for a while, and hands
back what does not.
"""

import asyncio
import contextlib
import inspect
import json
import random
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, cast

from app.client.tasks import Refused, TaskClient
from app.errors import ConfigError, LeaseLost, StanchionError, StoreUnavailable
from app.logs import get_logger
from app.worker.handlers import GiveUp, Handler, Handlers, Task, TryLater
from app.worker.reports import Completions

log = get_logger(__name__)

MAX_ERROR_CHARS = 2000
_PAUSE_S = 1.0


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker works."""

    worker_id: str
    queue: str = "default"
    types: tuple[str, ...] = ()
    """Empty: all that there are handlers for."""
    concurrency: int = 1
    poll_s: float = 20.0
    """How long one request waits for a task."""
    grace_s: float = 10.0
    """How long running tasks may take once it is asked to stop."""


@dataclass
class Worker:
    """One worker process's loop.

    Raises:
        ConfigError: it is to take types that it has no handler for.
    """

    client: TaskClient
    handlers: Handlers
    options: WorkerOptions
    done: int = 0
    failed: int = 0
    _running: dict[asyncio.Task[None], Task] = field(default_factory=dict)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        strangers = [type_ for type_ in self.options.types if self.handlers.find(type_) is None]
        if strangers:  # it would take such tasks and give them back, over and over
            raise ConfigError([f"--types: there is no handler for {', '.join(strangers)}"])
        self._completions = Completions(self.client)

    def stop(self) -> None:
        """Take no more tasks; `run` returns when those in hand are finished or handed back."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`."""
        log.info("worker_started", worker=self.options.worker_id, url=self.client.url, queue=self.options.queue)
        stopping = asyncio.ensure_future(self._stopping.wait())
        while not self._stopping.is_set():
            free = self.options.concurrency - len(self._running)
            if free <= 0:
                await asyncio.wait({stopping, *self._running}, return_when=asyncio.FIRST_COMPLETED)
                continue
            fetching = asyncio.ensure_future(self._fetch(free))
            await asyncio.wait({stopping, fetching}, return_when=asyncio.FIRST_COMPLETED)
            if not fetching.done():
                # Hanging up is safe: what the service has claimed for this request it takes back, uncounted.
                fetching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                for item in await fetching:
                    self._start(item)
        stopping.cancel()
        await self._drain()
        log.info("worker_stopped", worker=self.options.worker_id, done=self.done, failed=self.failed)

    async def _fetch(self, count: int) -> list[dict[str, Any]]:
        types = self.options.types or self.handlers.types()
        try:
            return await self.client.dequeue(
                self.options.queue, types, count, self.options.poll_s, self.options.worker_id
            )
        except StanchionError as error:
            log.warning("worker_cannot_fetch", error=error.message)
            await asyncio.sleep(_PAUSE_S * (0.5 + random.random()))
            return []

    def _start(self, item: dict[str, Any]) -> None:
        task = Task(
            id=item["id"],
            type=item["type"],
            payload=item["payload"],
            attempts=item["attempts"],
            retries=item["retries"],
            queue=item["queue"],
            lease_token=item["leaseToken"],
        )
        lease_s = (item["leaseUntil"] - item["startedAt"]) / 1000
        running = asyncio.ensure_future(self._work(task, lease_s))
        self._running[running] = task
        running.add_done_callback(lambda done: self._running.pop(done, None))

    async def _work(self, task: Task, lease_s: float) -> None:
        log.info("task_started", worker=self.options.worker_id, task=task.id, type=task.type)
        handler = self.handlers.find(task.type)
        if handler is None:
            await self._report(task, lease_s, lambda: self.client.release(task.id, task.lease_token))
            return
        working = asyncio.ensure_future(_run_handler(handler, task))
        heart = asyncio.ensure_future(self._keep_lease(task, lease_s))
        try:
            await asyncio.wait({working, heart}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                log.warning("task_lost", worker=self.options.worker_id, task=task.id)
                return
            error = _failure_of(working)
            if error is None:
                self.done += 1
                result = working.result()
                await self._report(task, lease_s, lambda: self._completions.send(task, result))
            else:
                self.failed += 1
                await self._report_failure(task, lease_s, error)
        finally:
            heart.cancel()
            working.cancel()
            await asyncio.gather(heart, working, return_exceptions=True)

    async def _keep_lease(self, task: Task, lease_s: float) -> None:
        """Heartbeats three times a lease; ends when the lease is lost."""
        while True:
            await asyncio.sleep(lease_s / 3)
            try:
                await self.client.heartbeat(task.id, task.lease_token)
            except StoreUnavailable as error:
                log.warning("heartbeat_failed", task=task.id, error=error.message)
            except (LeaseLost, Refused):
                return

    async def _report_failure(self, task: Task, lease_s: float, error: BaseException) -> None:
        text = (f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)[:MAX_ERROR_CHARS]
        log.warning("task_failed", worker=self.options.worker_id, task=task.id, error=text)
        later_s = error.seconds if isinstance(error, TryLater) else None
        final = isinstance(error, GiveUp)
        await self._report(
            task,
            lease_s,
            lambda: self.client.fail(task.id, task.lease_token, text, retry=not final, retry_after_s=later_s),
        )

    async def _report(self, task: Task, lease_s: float, send: Callable[[], Awaitable[Any]]) -> None:
        """Say it until it is heard or the lease is over; every report may be repeated safely."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + lease_s
        while True:
            try:
                await send()
                return
            except StoreUnavailable as error:
                log.warning("report_failed", task=task.id, error=error.message)
            except LeaseLost:
                log.warning("task_lost", worker=self.options.worker_id, task=task.id)
                return
            except Refused as error:
                log.error("report_refused", task=task.id, error=error.message)
                if error.status in (400, 413):
                    send = _failing(self.client, task, f"The result was refused: {error.message}")
                    continue
                return
            if loop.time() > deadline:
                return
            await asyncio.sleep(min(_PAUSE_S, lease_s / 10) * (0.5 + random.random()))

    async def _drain(self) -> None:
        if self._running:
            await asyncio.wait(set(self._running), timeout=self.options.grace_s)
        for running, task in list(self._running.items()):
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            log.warning("task_handed_back", worker=self.options.worker_id, task=task.id)
            with contextlib.suppress(StanchionError):
                await self.client.release(task.id, task.lease_token)


def _failing(client: TaskClient, task: Task, text: str) -> Callable[[], Awaitable[Any]]:
    return lambda: client.fail(task.id, task.lease_token, text[:MAX_ERROR_CHARS], retry=False)


def _failure_of(working: "asyncio.Task[Any]") -> BaseException | None:
    """Why a handler that has ended was no success; a result that cannot be sent is none either."""
    if working.cancelled():
        return asyncio.CancelledError("the handler was cancelled from within")
    error = working.exception()
    if error is not None:
        return error
    try:
        json.dumps(working.result(), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as unfit:
        return GiveUp(f"the result is no JSON: {unfit}")
    return None


async def _run_handler(handler: Handler, task: Task) -> Any:
    """The handler's result.

    A coroutine that is over its time is cancelled. A thread cannot be: the task has failed all the same, and
    the thread is left to its end.
    """
    if inspect.iscoroutinefunction(handler.function):
        work: Coroutine[Any, Any, Any] = handler.function(task)
    else:
        work = _in_thread(cast(Callable[[Task], Any], handler.function), task)
    try:
        async with asyncio.timeout(handler.time_limit_s):
            return await work
    except TimeoutError as error:
        if handler.time_limit_s is None or error.__cause__ is None:
            raise
        raise TimeoutError(f"took longer than its limit of {handler.time_limit_s} s") from None


async def _in_thread(function: Callable[[Task], Any], task: Task) -> Any:
    """Run it in a daemon thread, which does not keep a worker alive that was told to stop."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if result.done():
            return
        if error is None:
            result.set_result(value)
        else:
            result.set_exception(error)

    def run() -> None:
        value, failure = None, None
        try:
            value = function(task)
        except BaseException as error:  # whatever it is, it is the task's outcome
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody wants to know any more
            loop.call_soon_threadsafe(settle, value, failure)

    threading.Thread(target=run, name=f"task {task.id}", daemon=True).start()
    return await result
