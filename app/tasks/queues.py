"""The task queues: every operation on them, one script each.

At least once: a task is taken in once, handed out under a lease, and handed out again when the lease runs
out. Only the holder of the present lease token can finish it.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import Conflict, NotFound, StanchionError
from app.logs import get_logger
from app.metrics import TaskMetrics
from app.settings import Settings
from app.store import Call, Store
from app.store.keys import task_queue
from app.tasks.model import STATES, NewTask, Stats, Task, pairs, refusal, task_from_view
from app.tasks.policy import ROTATION, backoff_table
from app.tasks.queue_list import QueueList
from app.tasks.scripts import SCRIPTS

log = get_logger(__name__)

CHUNK = 500
"""How many tasks one step of a bulk operation handles, so that none holds up the store."""
RESET_ROUNDS = 3


@dataclass(frozen=True)
class Claim:
    """What a worker asks for."""

    queue: str
    types: tuple[str, ...]
    """Empty: any."""
    count: int
    worker: str


@dataclass(frozen=True)
class Failure:
    """What became of a task that failed."""

    status: str
    retries: int
    max_retries: int
    due_ms: int
    """When it will be tried again; 0 when it will not."""


@dataclass(frozen=True)
class QueueStats:
    """Everything that is counted about a queue."""

    stats: Stats
    ready: int
    delayed: int
    done: int
    counters: dict[str, int]
    by_state_and_type: dict[tuple[str, str], int]
    oldest_wait_ms: int


class TaskQueues:
    """The operations. `store` errors pass through: `StoreUnavailable` means the outcome is unknown."""

    def __init__(self, store: Store, settings: Settings, metrics: TaskMetrics) -> None:
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self.list = QueueList(store)
        self._dead_ms = int(settings.task_keep_dead_seconds * 1000)
        self._done_ms = int(settings.task_keep_seconds * 1000)
        self.lease_ms = int(settings.task_lease * 1000)
        self._need_token = int(settings.require_lease_token)
        self._strict = settings.task_strict_replicas > 0 or settings.task_strict_fsync

    async def _run(self, script: str, queue: str, **args: Any) -> Any:
        return await self._store.run(SCRIPTS[script], {"meta": task_queue(queue, "meta")}, args)

    async def change(self, script: str, queue: str, **args: Any) -> Any:
        """Like `_run`, for what an answer promises: in strict mode copies must confirm it first."""
        if not self._strict:
            return await self._run(script, queue, **args)
        return await self._store.run_confirmed(
            SCRIPTS[script],
            {"meta": task_queue(queue, "meta")},
            args,
            replicas=self._settings.task_strict_replicas,
            fsync=self._settings.task_strict_fsync,
            timeout_s=self._settings.task_strict_timeout,
        )

    async def enqueue(self, queue: str, tasks: Sequence[NewTask]) -> tuple[Stats, list[tuple[str, bool]]]:
        """Take tasks in.

        Returns:
            The queue's numbers, and for each task its id and whether it is new (else its idempotency key was
            known, and the id is that of the first).

        Raises:
            Conflict: it would be one queue too many.
        """
        await self.list.note(queue)
        entries = [value for task in tasks for value in task.pack()]
        _, stats, answers = await self.change(
            "enqueue", queue, remember_ms=int(self._settings.task_idempotency_seconds * 1000), entries=entries
        )
        self._metrics.enqueued.labels(queue).inc(sum(int(new) for _, new in answers))
        return Stats(*stats), [(task_id.decode(), bool(new)) for task_id, new in answers]

    def claim_call(self, claim: Claim, *, arm: bool) -> Call:
        """The script call of a claim, to be run alone or with others."""
        return Call(
            SCRIPTS["claim"],
            {"meta": task_queue(claim.queue, "meta")},
            {
                "count": claim.count,
                "lease_ms": self.lease_ms,
                "worker": claim.worker,
                "arm": int(arm),
                "rotation": ROTATION,
                "max_expiries": self._settings.task_max_expiries,
                "keep_dead_ms": self._dead_ms,
                "keep_dead_count": self._settings.task_keep_dead_count,
                "types": sorted(set(claim.types)),
            },
        )

    async def claim(self, claim: Claim, *, arm: bool = False) -> list[Task]:
        """Lease up to `claim.count` tasks now; with `arm`, have a wake-up sent for what comes when there were fewer."""
        call = self.claim_call(claim, arm=arm)
        return self.claimed(claim.queue, await self._store.run(call.script, call.keys, call.args))

    def claimed(self, queue: str, reply: Any) -> list[Task]:
        """The tasks in the reply of a claim."""
        _, now_ms, views, expired = reply
        tasks = [task_from_view(queue, view) for view in views]
        for task in tasks:
            self._metrics.wait_seconds.labels(queue).observe(max(0, now_ms - max(task.created_ms, task.due_ms)) / 1000)
            self._metrics.attempts.labels(queue).inc()
        self.count_expired(queue, expired)
        return tasks

    def count_expired(self, queue: str, count: int) -> None:
        """Leases ran out, and this replica found it: say so."""
        if count:
            self._metrics.expired.labels(queue).inc(count)
            log.warning("task_leases_ran_out", queue=queue, count=count)

    async def complete(self, queue: str, entries: Sequence[tuple[str, str, str]]) -> list[StanchionError | None]:
        """Finish tasks, given as id, token (or empty) and result (JSON text); what is wrong with each, if anything."""
        _, answers = await self.change(
            "complete",
            queue,
            need_token=self._need_token,
            keep_ms=self._done_ms,
            keep_count=self._settings.task_keep_count,
            keep_bytes=self._settings.task_keep_bytes,
            entries=[value for entry in entries for value in entry],
        )
        for status, type_, run_ms in answers:
            if status == 0:
                self._metrics.completed.labels(queue).inc()
                self._metrics.observe_run(queue, type_.decode(), "completed", run_ms / 1000)
        return [self._refusal(queue, status, entry[0]) for entry, (status, *_) in zip(entries, answers, strict=True)]

    async def fail(
        self, queue: str, task_id: str, token: str, error: str, *, final: bool, delay_ms: int | None
    ) -> Failure:
        """Report a failure.

        Raises:
            NotFound, LeaseLost, Conflict: the call does not count; nothing was changed.
        """
        status, answer, type_, run_ms = await self.change(
            "fail",
            queue,
            id=task_id,
            token=token,
            need_token=self._need_token,
            error=error,
            final=int(final),
            delay_ms=-1 if delay_ms is None else delay_ms,
            keep_dead_ms=self._dead_ms,
            keep_dead_count=self._settings.task_keep_dead_count,
            delays_ms=backoff_table(self._settings.task_backoff * 1000, self._settings.task_backoff_limit * 1000),
        )
        self._raise(queue, status, task_id)
        if status == 0:
            self._metrics.failed.labels(queue).inc()
            outcome = "dead" if answer[0] == b"dead" else "failed"
            self._metrics.observe_run(queue, type_.decode(), outcome, run_ms / 1000)
        return Failure("failed" if answer[0] == b"dead" else "pending", *(int(value) for value in answer[1:]))

    async def extend(self, queue: str, task_id: str, token: str) -> int:
        """Renew a lease from now; returns when it ends.

        Raises:
            NotFound, LeaseLost, Conflict: the call does not count.
        """
        status, until_ms = await self._run(
            "extend",
            queue,
            id=task_id,
            token=token,
            need_token=self._need_token,
            lease_ms=self.lease_ms,
        )
        self._raise(queue, status, task_id)
        return int(until_ms)

    async def release(self, queue: str, entries: Sequence[tuple[str, str]]) -> list[StanchionError | None]:
        """Give tasks (id, token) back, uncounted, to the front of their lines."""
        _, answers = await self._run(
            "release", queue, need_token=self._need_token, entries=[value for entry in entries for value in entry]
        )
        return [self._refusal(queue, answer, task_id) for answer, (task_id, _) in zip(answers, entries, strict=True)]

    def _refusal(self, queue: str, status: int, task_id: str) -> StanchionError | None:
        error = refusal(status, task_id)
        if error is not None and not isinstance(error, NotFound):  # anybody can ask for a queue that does not exist
            self._metrics.refused.labels(queue).inc()
        return error

    def _raise(self, queue: str, status: int, task_id: str) -> None:
        error = self._refusal(queue, status, task_id)
        if error is not None:
            raise error

    async def look(self, queue: str, task_id: str) -> Task:
        """One task as it is now.

        Raises:
            NotFound: there is none, or it is no longer kept.
        """
        status, *rest = await self._run("look", queue, id=task_id)
        if status:
            raise NotFound(f"There is no task {task_id} in the queue {queue}, or it is no longer kept.")
        return task_from_view(queue, rest[0])

    async def page(
        self, queue: str, states: Sequence[str], type_: str, limit: int, place: int, offset: int
    ) -> tuple[list[Task], tuple[int, int] | None]:
        """Some tasks, state by state, and where to go on (None: that was all)."""
        _, views, next_place, next_offset = await self._run(
            "list", queue, type=type_, limit=limit, place=place, offset=offset, states=list(states)
        )
        tasks = [task_from_view(queue, view) for view in views]
        return tasks, (next_place, next_offset) if next_place else None

    async def stats(self, queue: str) -> QueueStats:
        """Everything that is counted."""
        return queue_stats(await self._run("stats", queue))

    async def stats_of(self, queues: Sequence[str]) -> dict[str, QueueStats]:
        """The same for several, in one round trip per node; without those that did not answer."""
        calls = [Call(SCRIPTS["stats"], {"meta": task_queue(queue, "meta")}, {}) for queue in queues]
        replies = await self._store.run_many(calls, purpose="background")
        return {
            queue: queue_stats(reply)
            for queue, reply in zip(queues, replies, strict=True)
            if not isinstance(reply, Exception)
        }

    async def revive(self, queue: str, task_id: str) -> None:
        """Put one dead letter back in line.

        Raises:
            NotFound: there is no such task.
            Conflict: it is not dead.
        """
        status, *_ = await self.change("revive", queue, id=task_id, until_ms="", bound=1)
        _raise_for(status, task_id, "is not a dead letter")

    async def revive_all(self, queue: str) -> int:
        """Put every dead letter back in line that was there when this began; returns how many."""
        return await self._in_chunks("revive", queue, {})

    async def delete(self, queue: str, task_id: str, state: str = "") -> None:
        """Delete a task that nobody works on; with `state`, only if it is in that one.

        Raises:
            NotFound: there is no such task.
            Conflict: it is leased, or in another state.
        """
        status, *_ = await self.change("delete", queue, id=task_id, state=state, until_ms="", bound=1)
        _raise_for(status, task_id, f"is not in the state {state}" if state else "is being worked on")

    async def delete_all(self, queue: str, state: str) -> int:
        """Delete everything in one state; returns how many."""
        return await self._in_chunks("delete", queue, {"state": state})

    async def reset(self, queue: str) -> int:
        """Delete every task of a queue, also those in flight; returns how many.

        What changes its place meanwhile is looked for again; what comes in as fast as it is deleted may stay.
        """
        deleted = 0
        for _ in range(RESET_ROUNDS):
            for state in STATES:
                deleted += await self.delete_all(queue, state)
            [left] = await self._run("clear", queue, forget=0)
            if not left:
                break
        return deleted

    async def _in_chunks(self, script: str, queue: str, args: dict[str, Any]) -> int:
        total, until = 0, ""
        while True:
            now_ms: int
            done: int
            _, now_ms, done = await self.change(script, queue, id="", until_ms=until, bound=CHUNK, **args)
            total += done
            until = until or str(now_ms)
            if done < CHUNK:
                return total


def queue_stats(reply: Any) -> QueueStats:
    """The reply of `stats.lua` as numbers."""
    _, now_ms, four, ready, delayed, done, counters, by_type, oldest_ms = reply
    depth: dict[tuple[str, str], int] = {}
    for name, value in zip(by_type[::2], by_type[1::2], strict=True):
        state, _, type_ = name.decode().partition(":")
        depth[state, type_] = depth.get((state, type_), 0) + int(value)
    return QueueStats(
        stats=Stats(*four),
        ready=ready,
        delayed=delayed,
        done=done,
        counters={name: int(value) for name, value in pairs(counters).items()},
        by_state_and_type=depth,
        oldest_wait_ms=max(0, now_ms - int(oldest_ms)) if oldest_ms else 0,
    )


def _raise_for(status: int, task_id: str, why: str) -> None:
    if status == 1:
        raise NotFound(f"There is no task {task_id}, or it is no longer kept.")
    if status == 2:
        raise Conflict(f"Task {task_id} {why}; nothing was changed.")


DEFAULT_QUEUE = "default"


def new_task_id(queue: str) -> str:
    """A name that tells the queue (unless it is the default one) and roughly when, and is never given twice."""
    return in_queue(queue, f"task-{int(time.time() * 1000)}-{secrets.token_hex(6)}")


def in_queue(queue: str, name: str) -> str:
    """A task id for this queue."""
    return name if queue == DEFAULT_QUEUE else f"{queue}:{name}"


def queue_of(task_id: str) -> str:
    """The queue that a task id belongs to."""
    queue, colon, _ = task_id.partition(":")
    return queue if colon else DEFAULT_QUEUE
