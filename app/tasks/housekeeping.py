"""What a queue needs without being asked: due tasks promoted, lapsed leases reaped, old results trimmed, ticks.

Every replica runs it, and each step is one script that is correct when two run it at once. No leader is
needed, so none can be missed.
"""

import asyncio
import json
import os
from pathlib import Path

from app.errors import StanchionError
from app.logs import get_logger
from app.metrics import TaskMetrics
from app.settings import Settings
from app.store import Call, Store
from app.store.keys import task_queue
from app.tasks.model import Task, pairs, task_from_view
from app.tasks.queues import TaskQueues
from app.tasks.schedules import Schedules
from app.tasks.scripts import SCRIPTS

log = get_logger(__name__)

STEP_EVERY_S = 0.5
STATS_EVERY = 10
"""The depth metrics are refreshed at every so manieth step."""
BOUND = 200
LOG_CHUNK = 100
MAX_LABELLED_TYPES = 100


class Housekeeping:
    """The loop of one replica."""

    def __init__(
        self,
        store: Store,
        queues: TaskQueues,
        schedules: Schedules,
        settings: Settings,
        metrics: TaskMetrics,
        replica_id: str,
    ) -> None:
        self._store = store
        self._queues = queues
        self._schedules = schedules
        self._settings = settings
        self._metrics = metrics
        self._replica_id = replica_id
        self._written: dict[str, int] = {}
        self._reported: set[str] = set()
        self._with_letters: list[str] = []
        """Queues with dead letters that are still to be written to the log, as of the last step."""

    async def run(self) -> None:
        """Step for ever. A background loop."""
        steps = 0
        while True:
            queues = await self._queues.list.names()
            while await self.step(queues):
                pass
            if self._settings.dead_letter_log is not None:
                await self._write_all_dead_letters(self._settings.dead_letter_log)
            if steps % STATS_EVERY == 0:
                await self.report_depths(queues)
                await self._queues.list.forget_unused()
            steps += 1
            await asyncio.sleep(STEP_EVERY_S)

    async def step(self, queues: list[str]) -> bool:
        """Do what is due in each queue, within bounds; returns whether more is left to do."""
        replies = await self._store.run_many([self._maintain(queue) for queue in queues], purpose="background")
        more = False
        self._with_letters = []
        for queue, reply in zip(queues, replies, strict=True):
            if isinstance(reply, Exception):
                log.error("task_housekeeping_failed", queue=queue, error=str(reply))
                continue
            _, now_ms, most, lapsed, due, letters = reply
            more = more or most >= BOUND
            if letters:
                self._with_letters.append(queue)
            self._queues.count_expired(queue, lapsed)
            if due:
                await self._tick(queue, {name: int(float(at)) for name, at in pairs(due).items()}, now_ms)
        return more

    async def _tick(self, queue: str, due: dict[str, int], now_ms: int) -> None:
        try:
            await self._schedules.tick(queue, due, now_ms)
        except (StanchionError, ValueError, TypeError) as error:
            log.error("schedule_failed", queue=queue, error=str(error))

    def _maintain(self, queue: str) -> Call:
        settings = self._settings
        return Call(
            SCRIPTS["maintain"],
            {"meta": task_queue(queue, "meta")},
            {
                "bound": BOUND,
                "max_expiries": settings.task_max_expiries,
                "keep_ms": int(settings.task_keep_seconds * 1000),
                "keep_count": settings.task_keep_count,
                "keep_bytes": settings.task_keep_bytes,
                "keep_dead_ms": int(settings.task_keep_dead_seconds * 1000),
                "keep_dead_count": settings.task_keep_dead_count,
                "log_ms": 60_000 if settings.dead_letter_log is not None else 0,
            },
        )

    async def report_depths(self, queues: list[str]) -> None:
        """Set the metrics of how deep each queue is, and end those of queues that there are no more."""
        counted = await self._queues.stats_of(queues)
        for gone in self._reported.difference(queues):
            self._metrics.forget(gone)
        self._reported = set(queues)
        self._metrics.depth.clear()
        for queue, stats in counted.items():
            self._metrics.oldest_wait.labels(queue).set(stats.oldest_wait_ms / 1000)
            for i, ((state, type_), count) in enumerate(sorted(stats.by_state_and_type.items())):
                label = type_ if i < MAX_LABELLED_TYPES else "(others)"
                self._metrics.depth.labels(queue, state, label).inc(count)

    async def _write_all_dead_letters(self, path: Path) -> None:
        try:
            for queue in self._with_letters:
                while await self.write_dead_letters(queue, path):
                    pass
        except OSError as error:  # they stay on the list, and the queues go on
            log.error("dead_letter_log_cannot_be_written", path=str(path), error=str(error))

    async def write_dead_letters(self, queue: str, path: Path) -> bool:
        """Append the next dead letters to the log; returns whether there may be more.

        A letter is dropped from the list of those to be written only after it is on disk, so a kill in between
        writes it twice rather than never.
        """
        status, *rest = await self._store.run(
            SCRIPTS["dead_log"],
            {"meta": task_queue(queue, "meta")},
            {"replica": self._replica_id, "written": self._written.pop(queue, 0), "bound": LOG_CHUNK},
            purpose="background",
        )
        if status:
            return False
        views, listed = rest
        if not listed:
            return False
        letters = [task_from_view(queue, view) for view in views if view[1][0] is not None]
        await asyncio.to_thread(_append, path, letters)
        self._written[queue] = listed
        return True


def _append(path: Path, letters: list[Task]) -> None:
    with path.open("a", encoding="utf-8") as file:
        for letter in letters:
            file.write(dead_letter_line(letter) + "\n")
        file.flush()
        os.fsync(file.fileno())


def dead_letter_line(task: Task) -> str:
    """A dead letter as a line of JSON."""
    return json.dumps(
        {
            "id": task.id,
            "queue": task.queue,
            "type": task.type,
            "payload": json.loads(task.payload),
            "error": task.error,
            "reason": task.reason,
            "retries": task.retries,
            "expiries": task.expiries,
            "attempts": task.attempts,
            "createdAt": task.created_ms,
            "failedAt": task.finished_ms,
        },
        ensure_ascii=False,
    )
