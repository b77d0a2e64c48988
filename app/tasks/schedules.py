"""Recurring tasks: cron text, evaluated by whichever replica comes first, once per tick."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from app.errors import InvalidInput, NotFound
from app.logs import get_logger
from app.store import Store
from app.store.keys import task_queue
from app.store.store import Purpose
from app.tasks.model import pairs
from app.tasks.queues import TaskQueues, in_queue
from app.tasks.scripts import SCRIPTS

log = get_logger(__name__)

MAX_SCHEDULES = 1000


@dataclass(frozen=True)
class Schedule:
    """What is enqueued at each tick."""

    cron: str
    """Five fields: minute, hour, day of month, month, day of week."""
    timezone: str
    """An IANA name; ticks follow its clock, summer time included."""
    type: str
    payload: str
    """JSON text."""
    priority: int
    max_retries: int
    lease_ms: int


def next_tick_ms(cron: str, timezone: str, after_ms: int) -> int | None:
    """The first tick after a moment, in milliseconds since 1970; None when there is none within decades.

    Raises:
        InvalidInput: the cron text or the time zone cannot be understood.
    """
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(f"There is no time zone {timezone!r}; use a name like Europe/Berlin, or UTC.") from None
    start = datetime.fromtimestamp(after_ms / 1000, UTC).astimezone(zone)
    try:
        tick = next(CronSim(cron, start), None)
    except CronSimError as error:
        raise InvalidInput(f"The cron text {cron!r} cannot be understood: {error}.") from None
    return None if tick is None else int(tick.timestamp() * 1000)


def tick_task_id(queue: str, name: str, tick_ms: int) -> str:
    """The id of the task of one tick: the same from every replica, so that it can be taken in only once."""
    return in_queue(queue, f"cron-{name}-{tick_ms}")


class Schedules:
    """The recurring tasks of all queues."""

    def __init__(self, store: Store, queues: TaskQueues) -> None:
        self._store = store
        self._queues = queues

    async def listed(self, queue: str, *, purpose: Purpose = "request") -> dict[str, tuple[Schedule, int | None]]:
        """Each schedule of a queue with its next tick."""
        _, _, texts, ticks = await self._store.run(
            SCRIPTS["schedules"], {"meta": task_queue(queue, "meta")}, {}, purpose=purpose
        )
        nexts = {name: int(float(at)) for name, at in pairs(ticks).items()}
        return {name: (Schedule(**json.loads(text)), nexts.get(name)) for name, text in sorted(pairs(texts).items())}

    async def put(self, queue: str, name: str, schedule: Schedule) -> int:
        """Set or change one; returns its next tick.

        Raises:
            InvalidInput: the cron text or time zone makes no sense, or there are too many schedules.
            Conflict: it would be one queue too many.
        """
        _, now_ms, texts, _ = await self._store.run(SCRIPTS["schedules"], {"meta": task_queue(queue, "meta")}, {})
        if len(texts) // 2 >= MAX_SCHEDULES and name not in pairs(texts):
            raise InvalidInput(f"A queue can have {MAX_SCHEDULES} schedules at most.")
        tick_ms = next_tick_ms(schedule.cron, schedule.timezone, now_ms)
        if tick_ms is None:
            raise InvalidInput(f"The cron text {schedule.cron!r} never comes true.")
        await self._queues.list.note(queue)
        await self._queues.change("schedule", queue, name=name, text=json.dumps(asdict(schedule)), next_ms=tick_ms)
        return tick_ms

    async def delete(self, queue: str, name: str) -> None:
        """Delete one.

        Raises:
            NotFound: there is none of this name.
        """
        [unknown] = await self._queues.change("schedule", queue, name=name, text="", next_ms=0)
        if unknown:
            raise NotFound(f"There is no schedule {name} in the queue {queue}.")

    async def tick(self, queue: str, due: dict[str, int], now_ms: int) -> None:
        """Enqueue what is due (names and their ticks); after an outage one task, not one for each missed tick."""
        known = await self.listed(queue, purpose="background")
        for name, tick_ms in due.items():
            if name not in known:
                continue
            try:
                await self._tick(queue, name, known[name][0], tick_ms, now_ms)
            except InvalidInput as error:  # its time zone is not known here, say: the others go on
                log.error("schedule_failed", queue=queue, schedule=name, error=error.message)

    async def _tick(self, queue: str, name: str, schedule: Schedule, tick_ms: int, now_ms: int) -> None:
        following = next_tick_ms(schedule.cron, schedule.timezone, now_ms)
        await self._store.run(
            SCRIPTS["tick"],
            {"meta": task_queue(queue, "meta")},
            {
                "name": name,
                "tick_ms": tick_ms,
                "next_ms": "" if following is None else following,
                "id": tick_task_id(queue, name, tick_ms),
                "type": schedule.type,
                "payload": schedule.payload,
                "priority": schedule.priority,
                "max_retries": schedule.max_retries,
                "lease_ms": schedule.lease_ms,
            },
            purpose="background",
        )
