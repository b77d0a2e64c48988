"""Tasks as the rest of the program sees them, and how they come out of the store's replies."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from app.errors import Conflict, LeaseLost, NotFound, StanchionError
from app.tasks.policy import PRIORITIES

STATUS_BY_STATE = {
    "ready": "pending",
    "delayed": "pending",
    "leased": "processing",
    "done": "completed",
    "dead": "failed",
}
"""The finer states and the four that programs are told of."""

STATES = ("leased", "ready", "delayed", "dead", "done")


class Reply(IntEnum):
    """How scripts judge a call about one task."""

    OK = 0
    NOT_FOUND = 1
    LEASE_LOST = 2
    ANSWERED_BEFORE = 3
    TOKEN_NEEDED = 4


def refusal(reply: int, task_id: str) -> StanchionError | None:
    """The error that a script's judgement stands for; None when the call counts."""
    match Reply(reply):
        case Reply.OK | Reply.ANSWERED_BEFORE:
            return None
        case Reply.NOT_FOUND:
            return NotFound(f"There is no task {task_id}, or it was finished and is no longer kept.")
        case Reply.LEASE_LOST:
            return LeaseLost(
                f"Task {task_id} is not leased with this token: the lease ran out, or the task was already finished. "
                "Nothing was changed."
            )
        case Reply.TOKEN_NEEDED:
            return Conflict("Send the leaseToken that came with the task: this service has REQUIRE_LEASE_TOKEN set.")


@dataclass(frozen=True)
class NewTask:
    """A task to be taken in."""

    id: str
    type: str
    payload: str
    """JSON text."""
    priority: int
    execute_at_ms: int
    delay_ms: int
    max_retries: int
    lease_ms: int
    """0: what the queue gives."""
    idempotency: str
    """Hash of its idempotency key, or empty."""

    def pack(self) -> tuple[str | int, ...]:
        """The nine arguments that `enqueue.lua` takes for a task."""
        return (
            self.id,
            self.type,
            self.payload,
            self.priority,
            self.execute_at_ms,
            self.delay_ms,
            self.max_retries,
            self.lease_ms,
            self.idempotency,
        )


@dataclass(frozen=True)
class Stats:
    """The four numbers of a queue."""

    pending: int
    processing: int
    completed: int
    failed: int


@dataclass(frozen=True)
class Task:
    """A task as it was at one moment. Times are milliseconds since 1970 by the store's clock."""

    id: str
    queue: str
    type: str
    payload: str
    state: str
    priority: str
    number: int
    created_ms: int
    due_ms: int
    retries: int
    max_retries: int
    expiries: int
    attempts: int
    token: str | None
    worker: str | None
    started_ms: int | None
    finished_ms: int | None
    result: str | None
    error: str | None
    reason: str | None
    until_ms: int | None
    """When its lease ends, while it is leased."""

    @property
    def status(self) -> str:
        """One of pending, processing, completed, failed."""
        return STATUS_BY_STATE[self.state]


def task_from_view(queue: str, view: Sequence[Any]) -> Task:
    """The task in a reply of the fragment `_queue.lua`'s `view`."""
    task_id, fields, when = view
    (
        *texts,
        token,
        worker,
        started,
        finished,
        result,
        error,
        reason,
    ) = fields
    kind, payload, state, priority, *numbers = texts
    number, created, due, retries, max_retries, expiries, attempts = (int(value or 0) for value in numbers)
    state_name = _text(state) or "ready"
    return Task(
        id=task_id.decode(),
        queue=queue,
        type=_text(kind) or "",
        payload=_text(payload) or "null",
        state=state_name,
        priority=PRIORITIES[int(priority or 1)],
        number=number,
        created_ms=created,
        due_ms=due,
        retries=retries,
        max_retries=max_retries,
        expiries=expiries,
        attempts=attempts,
        token=_text(token),
        worker=_text(worker) or None,
        started_ms=int(started) if started else None,
        finished_ms=int(finished) if finished else None,
        result=_text(result),
        error=_text(error),
        reason=_text(reason),
        until_ms=int(float(when)) if when and state_name == "leased" else None,
    )


def _text(value: Any) -> str | None:
    return None if value is None else value.decode()


def pairs(flat: Sequence[Any]) -> dict[str, str]:
    """`[name, value, …]` as a dictionary."""
    return {flat[i].decode(): _as_text(flat[i + 1]) for i in range(0, len(flat), 2)}


def _as_text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
