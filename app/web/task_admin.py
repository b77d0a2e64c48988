"""Looking after the queues: numbers, lists, dead letters."""

from typing import Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from app.errors import InvalidInput
from app.tasks.model import STATES, STATUS_BY_STATE
from app.tasks.queues import queue_of
from app.web.access import Access
from app.web.bodies import NO_STORE, Wire, answer, read_query
from app.web.operations import Answer, Operation, services_of
from app.web.task_models import (
    TASK_ID_PATTERN,
    QueueName,
    QueueQuery,
    StatsView,
    TaskView,
    TypeName,
    task_json,
)
from app.web.tasks import json_answer, parse_cursor, path_id

Status = Literal["pending", "processing", "completed", "failed"]
State = Literal["leased", "ready", "delayed", "dead", "done"]


class QueueStatsView(StatsView):
    """All that is counted about a queue."""

    queue: str
    ready: int = Field(description="Of the pending: those that can be handed out now.")
    delayed: int = Field(description="Of the pending: those whose time has not come.")
    completed_kept: int = Field(description="Of the completed: those whose results can still be looked up.")
    enqueued: int = Field(description="Ever since the queue began, as are the next four.")
    failures: int = Field(description="Failures reported, final or not.")
    died: int = Field(description="Tasks that went to the dead letters.")
    lease_expiries: int
    deleted: int
    oldest_wait_seconds: float = Field(description="For how long the first of the ready tasks has waited.")
    waiting_workers: int = Field(description="Long polls that wait for work on this replica.")
    by_type: dict[str, dict[str, int]] = Field(description="By type, then by state.")


class QueuesView(Wire):
    """The queues there are."""

    queues: list[str]


class PageQuery(Wire):
    """Which of a queue's tasks."""

    queue: QueueName = "default"
    type: TypeName | None = None
    limit: int = Field(50, ge=1, le=500)
    cursor: str = Field("", description="`next` of the page before.")


class PurgeQuery(Wire):
    """What to delete."""

    queue: QueueName
    state: State | Literal["all"]


class TaskPage(Wire):
    """Tasks, and where to go on."""

    tasks: list[TaskView]
    next: str | None = Field(None, description="The `cursor` of the next page; absent on the last one.")


class Affected(Wire):
    """How many it were."""

    count: int


async def stats(request: Request) -> Response:
    """GET /stats."""
    query = read_query(request, QueueQuery)
    service = services_of(request).tasks
    counted = await service.queues.stats(query.queue)
    by_type: dict[str, dict[str, int]] = {}
    for (state, type_), count in sorted(counted.by_state_and_type.items()):
        by_type.setdefault(type_, {})[state] = count
    counters = counted.counters
    return answer(
        QueueStatsView(
            pending=counted.stats.pending,
            processing=counted.stats.processing,
            completed=counted.stats.completed,
            failed=counted.stats.failed,
            queue=query.queue,
            ready=counted.ready,
            delayed=counted.delayed,
            completed_kept=counted.done,
            enqueued=counters.get("enqueued", 0),
            failures=counters.get("failures", 0),
            died=counters.get("died", 0),
            lease_expiries=counters.get("expiries", 0),
            deleted=counters.get("deleted", 0),
            oldest_wait_seconds=counted.oldest_wait_ms / 1000,
            waiting_workers=service.dispatcher.waiting,
            by_type=by_type,
        )
    )


async def queues(request: Request) -> Response:
    """GET /queues."""
    return answer(QueuesView(queues=await services_of(request).tasks.queues.list.names()))


async def page(
    request: Request, queue: str, states: tuple[str, ...], type_: str | None, limit: int, cursor: str
) -> Response:
    """A page of tasks as an answer."""
    place, offset = parse_cursor(cursor) if cursor else (1, 0)
    tasks, going_on = await services_of(request).tasks.queues.page(queue, states, type_ or "", limit, place, offset)
    members = [f'"tasks": [{", ".join(task_json(task) for task in tasks)}]']
    if going_on:
        members.append(f'"next": "{going_on[0]}.{going_on[1]}"')
    return json_answer("{" + ", ".join(members) + "}")


def states_of(status: str | None, state: str | None) -> tuple[str, ...]:
    """The states that a filter leaves.

    Raises:
        InvalidInput: none.
    """
    states = tuple(
        name
        for name in STATES
        if (state is None or name == state) and (status is None or STATUS_BY_STATE[name] == status)
    )
    if not states:
        raise InvalidInput(f"No task is {status} and in the state {state} at once.")
    return states


async def dead_letters(request: Request) -> Response:
    """GET /dead-letters."""
    query = read_query(request, PageQuery)
    return await page(request, query.queue, ("dead",), query.type, query.limit, query.cursor)


async def retry_one(request: Request) -> Response:
    """POST /dead-letters/{id}/retry."""
    task_id = path_id(request)
    await services_of(request).tasks.queues.revive(queue_of(task_id), task_id)
    return answer(Affected(count=1))


async def retry_all(request: Request) -> Response:
    """POST /dead-letters/retry."""
    query = read_query(request, QueueQuery)
    return answer(Affected(count=await services_of(request).tasks.queues.revive_all(query.queue)))


async def delete_dead(request: Request) -> Response:
    """DELETE /dead-letters/{id}."""
    task_id = path_id(request)
    await services_of(request).tasks.queues.delete(queue_of(task_id), task_id, "dead")
    return Response(status_code=204, headers=NO_STORE)


async def delete_all_dead(request: Request) -> Response:
    """DELETE /dead-letters."""
    query = read_query(request, QueueQuery)
    return answer(Affected(count=await services_of(request).tasks.queues.delete_all(query.queue, "dead")))


async def purge(request: Request) -> Response:
    """DELETE /tasks."""
    query = read_query(request, PurgeQuery)
    queues = services_of(request).tasks.queues
    if query.state == "all":
        return answer(Affected(count=await queues.reset(query.queue)))
    return answer(Affected(count=await queues.delete_all(query.queue, query.state)))


_ID = {"id": TASK_ID_PATTERN}
_QUERY = (400, 401, 403, 503)

OPERATIONS = (
    Operation(
        "GET",
        "/stats",
        stats,
        "A queue in numbers",
        "tasks",
        {200: Answer("The numbers.", QueueStatsView)},
        access=Access.TASKS,
        query=QueueQuery,
        problems=_QUERY,
    ),
    Operation(
        "GET",
        "/queues",
        queues,
        "The queues there are",
        "tasks",
        {200: Answer("Their names.", QueuesView)},
        access=Access.TASKS,
        problems=(401, 403, 503),
    ),
    Operation(
        "DELETE",
        "/tasks",
        purge,
        "Delete all tasks of a queue, or those in one state",
        "tasks",
        {200: Answer("How many were deleted.", Affected)},
        access=Access.ADMIN,
        query=PurgeQuery,
        problems=_QUERY,
    ),
    Operation(
        "GET",
        "/dead-letters",
        dead_letters,
        "Tasks that failed for good",
        "dead letters",
        {200: Answer("A page of them, oldest first.", TaskPage)},
        access=Access.TASKS,
        query=PageQuery,
        problems=_QUERY,
    ),
    Operation(
        "POST",
        "/dead-letters/retry",
        retry_all,
        "Try all dead letters of a queue again",
        "dead letters",
        {200: Answer("How many are back in line.", Affected)},
        access=Access.TASKS,
        query=QueueQuery,
        problems=_QUERY,
    ),
    Operation(
        "DELETE",
        "/dead-letters",
        delete_all_dead,
        "Delete all dead letters of a queue",
        "dead letters",
        {200: Answer("How many were deleted.", Affected)},
        access=Access.TASKS,
        query=QueueQuery,
        problems=_QUERY,
    ),
    Operation(
        "POST",
        "/dead-letters/{id}/retry",
        retry_one,
        "Try a dead letter again",
        "dead letters",
        {200: Answer("It is back in line, with a clean slate.", Affected)},
        access=Access.TASKS,
        path_patterns=_ID,
        problems=(401, 403, 404, 409, 503),
    ),
    Operation(
        "DELETE",
        "/dead-letters/{id}",
        delete_dead,
        "Delete a dead letter",
        "dead letters",
        {204: Answer("It is gone.")},
        access=Access.TASKS,
        path_patterns=_ID,
        problems=(401, 403, 404, 409, 503),
    ),
)
