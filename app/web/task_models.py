"""What travels to and from the task routes."""

import json
from typing import Annotated, Any, Literal

from pydantic import Field, RootModel, field_validator

from app.tasks.model import Stats, Task
from app.tasks.policy import MAX_BATCH, MAX_CLAIM, MAX_DELAY_MS, MAX_WAIT_S
from app.web.bodies import Wire

QUEUE_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
TYPE_PATTERN = r"^[^\s,\x00-\x1f\x7f]{1,100}$"
TASK_ID_PATTERN = r"^([a-z0-9][a-z0-9_-]{0,63}:)?[A-Za-z0-9._-]{1,150}$"
SCHEDULE_NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"

QueueName = Annotated[str, Field(pattern=QUEUE_PATTERN, description="Name of the queue.")]
TypeName = Annotated[str, Field(pattern=TYPE_PATTERN, description="Kind of work, like `email`.")]
Priority = Literal["high", "normal", "low"]
Token = Annotated[str, Field(min_length=1, max_length=50, description="The `leaseToken` that came with the task.")]
Types = Annotated[
    str, Field(max_length=2000, description="Only tasks of these types, separated by commas; empty: any.")
]


def split_types(types: str) -> tuple[str, ...]:
    """The types of a comma list, each once."""
    return tuple(sorted({part.strip() for part in types.split(",") if part.strip()}))


class QueueQuery(Wire):
    """Which queue."""

    queue: QueueName = "default"


class TaskBody(Wire):
    """A task to be done."""

    type: TypeName
    payload: Any = Field(description="What the work needs to know: any JSON that is not empty.")
    priority: Priority = "normal"
    execute_at: int | float | str | None = Field(
        None, description="Not before this moment: milliseconds since 1970, or ISO 8601 with an offset."
    )
    delay_seconds: float = Field(0, ge=0, le=MAX_DELAY_MS / 1000, description="Not before this many seconds from now.")
    max_retries: int | None = Field(None, ge=0, le=100, description="The failure that is final.")
    lease_seconds: float | None = Field(None, ge=1, le=86_400, description="How long a worker has between heartbeats.")
    idempotency_key: str | None = Field(
        None, min_length=1, max_length=200, description="With a key that is known already, the first task stands."
    )

    @field_validator("payload")
    @classmethod
    def _not_empty(cls, payload: Any) -> Any:
        if not payload:
            raise ValueError("type and payload required; the payload is empty")
        return payload


class TasksBody(Wire):
    """Tasks to be done."""

    tasks: list[TaskBody] = Field(min_length=1, max_length=MAX_BATCH)


class StatsView(Wire):
    """The four numbers of a queue."""

    pending: int
    processing: int
    completed: int = Field(description="Ever since the queue began, or was reset.")
    failed: int = Field(description="For good: in the dead letters now.")


class Accepted(Wire):
    """The task is in the queue."""

    task_id: str
    message: str
    stats: StatsView


class AcceptedTask(Wire):
    """One of a batch."""

    task_id: str
    new: bool = Field(description="False: its idempotency key was known; this is the id of the first.")


class AcceptedBatch(Wire):
    """The tasks are in the queue."""

    tasks: list[AcceptedTask]
    message: str
    stats: StatsView


class TaskView(Wire):
    """A task. Times are milliseconds since 1970."""

    id: str
    queue: str
    type: str
    payload: Any
    status: Literal["pending", "processing", "completed", "failed"]
    state: Literal["ready", "delayed", "leased", "done", "dead"] = Field(description="The status in more detail.")
    priority: Priority
    number: int = Field(description="The queue's how manieth task it is.")
    created_at: int
    execute_at: int
    retries: int = Field(description="Failures so far.")
    max_retries: int
    lease_expiries: int = Field(description="How many of its leases ran out; counted apart from failures.")
    attempts: int = Field(description="How many times it was handed out.")
    lease_token: str | None = None
    lease_until: int | None = None
    worker: str | None = None
    started_at: int | None = None
    finished_at: int | None = None
    result: Any = None
    error: str | None = None
    reason: str | None = Field(None, description="Why it died: `failed`, or `lease` (its leases ran out).")


class TaskList(Wire):
    """Leased tasks."""

    tasks: list[TaskView]


class Dequeued(RootModel[TaskView | TaskList]):
    """A leased task; or, when a `count` was asked for, a list of them."""


class DequeueQuery(Wire):
    """What a worker can take."""

    queue: QueueName = "default"
    types: Types = ""
    wait: float = Field(0, ge=0, le=MAX_WAIT_S, description="Seconds to wait for a task when there is none.")
    count: int | None = Field(
        None, ge=1, le=MAX_CLAIM, description="Up to this many tasks at once; the answer is then a list in `tasks`."
    )
    worker: str = Field("", max_length=100, description="The worker's name, shown with the task.")


class CompleteBody(Wire):
    """The work is done."""

    result: Any = None
    lease_token: Token | None = None


class Completion(Wire):
    """One finished task of several."""

    id: str = Field(pattern=TASK_ID_PATTERN)
    result: Any = None
    lease_token: Token | None = None


class CompletionsBody(Wire):
    """Finished tasks."""

    tasks: list[Completion] = Field(min_length=1, max_length=MAX_BATCH)


class Finished(Wire):
    """What became of it."""

    id: str
    status: Literal["completed"] = "completed"


class Judged(Wire):
    """What became of one of several."""

    id: str
    status: Literal["completed", "refused"]
    problem: str | None = None


class JudgedList(Wire):
    """What became of each."""

    tasks: list[Judged]


class FailBody(Wire):
    """The work went wrong."""

    error: str = Field("", description="What went wrong, for people.")
    retry: bool = Field(True, description="False: another try makes no sense; straight to the dead letters.")
    retry_after_seconds: float | None = Field(
        None, ge=0, le=MAX_DELAY_MS / 1000, description="Try again after this long, instead of the queue's backoff."
    )
    lease_token: Token | None = None


class Failed(Wire):
    """What becomes of it."""

    id: str
    status: Literal["pending", "failed"]
    retries: int
    max_retries: int
    execute_at: int | None = Field(None, description="When it will be tried again.")


class HeartbeatBody(Wire):
    """Still at it."""

    lease_token: Token | None = None


class Extended(Wire):
    """The lease runs anew."""

    id: str
    lease_until: int


class ReleaseBody(Wire):
    """Somebody else should do it."""

    lease_token: Token | None = None


class Released(Wire):
    """It is back at the front of its line."""

    id: str
    status: Literal["pending"] = "pending"


def stats_view(stats: Stats) -> StatsView:
    """The numbers as they travel."""
    return StatsView(pending=stats.pending, processing=stats.processing, completed=stats.completed, failed=stats.failed)


def task_json(task: Task, *, with_token: bool = False) -> str:
    """A task as JSON text, as `TaskView` describes it; its payload and result go in as they came.

    Only the worker that leases it is told the token.
    """
    members: dict[str, object] = {
        "id": task.id,
        "queue": task.queue,
        "type": task.type,
        "status": task.status,
        "state": task.state,
        "priority": task.priority,
        "number": task.number,
        "createdAt": task.created_ms,
        "executeAt": task.due_ms,
        "retries": task.retries,
        "maxRetries": task.max_retries,
        "leaseExpiries": task.expiries,
        "attempts": task.attempts,
    }
    further = {
        "leaseToken": task.token if with_token else None,
        "leaseUntil": task.until_ms,
        "worker": task.worker,
        "startedAt": task.started_ms,
        "finishedAt": task.finished_ms,
        "error": task.error,
        "reason": task.reason,
    }
    members.update((name, value) for name, value in further.items() if value is not None)
    text = json.dumps(members, ensure_ascii=False)
    result = "" if task.result is None else f', "result": {task.result}'
    return f'{text[:-1]}, "payload": {task.payload}{result}}}'


def tasks_json(tasks: list[Task], *, with_token: bool = False) -> str:
    """Several of them, as `TaskList` describes it."""
    return f'{{"tasks": [{", ".join(task_json(task, with_token=with_token) for task in tasks)}]}}'
