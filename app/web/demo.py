"""Many workers grabbing distinct tasks behind one load balancer: the replicas themselves are the workers.

All of it happens on the queue `demo`, which other workers take from only when they ask for it.
"""

import asyncio
import json
import time

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from app.errors import NotFound
from app.tasks.model import NewTask
from app.tasks.policy import MAX_BATCH
from app.tasks.queues import Claim, new_task_id
from app.web.access import Access
from app.web.bodies import NO_STORE, Wire, answer, read_query
from app.web.operations import Answer, Operation, services_of
from app.web.task_admin import PageQuery, State, Status, TaskPage, page, states_of
from app.web.task_models import QueueName
from app.web.tasks import claim_for

QUEUE = "demo"
MAX_CREATED = 10_000


class CreateQuery(Wire):
    """How many."""

    count: int = Field(10, ge=1, le=MAX_CREATED)


class Created(Wire):
    """The tasks are there."""

    message: str
    created: int
    created_by: str = Field(description="The replica that answered (`APP_NAME`).")


class Grabbed(Wire):
    """A task, done."""

    message: str
    task_id: str
    task_number: int = Field(description="Its number in the queue.")
    title: str
    status: str = "completed"
    grabbed_by: str = Field(description="The replica that did it (`APP_NAME`).")
    attempts: int
    seconds: float = Field(description="How long the work took.")


class Reset(Wire):
    """All is gone."""

    message: str
    deleted: int


class TasksQuery(PageQuery):
    """Which tasks."""

    queue: QueueName = QUEUE
    status: Status | None = None
    state: State | None = Field(None, description="Finer than status.")


class NoQuery(Wire):
    """Nothing can be asked for."""


async def create_tasks(request: Request) -> Response:
    """POST /create-tasks."""
    services = services_of(request)
    count = read_query(request, CreateQuery).count
    for start in range(0, count, MAX_BATCH):
        batch = [_demo_task(number) for number in range(start + 1, min(start + MAX_BATCH, count) + 1)]
        await services.tasks.queues.enqueue(QUEUE, batch)
    name = services.settings.app_name
    return answer(Created(message=f"Created {count} tasks", created=count, created_by=name))


def _demo_task(number: int) -> NewTask:
    return NewTask(new_task_id(QUEUE), "demo", f'{{"title":"Task {number}"}}', 1, 0, 0, 3, 0, "")


async def grab_task(request: Request) -> Response:
    """POST /grab-task."""
    services = services_of(request)
    read_query(request, NoQuery)
    name = services.settings.app_name
    hang_up, tasks = await claim_for(request, Claim(QUEUE, (), 1, name), 0)
    if not tasks:
        hang_up.stop()
        raise NotFound("No task is pending; POST /create-tasks?count=30 makes some.")
    [task] = tasks
    started_s = time.perf_counter()
    await asyncio.wait({hang_up.gone}, timeout=services.settings.grab_seconds)
    if hang_up.noticed():
        services.tasks.dispatcher.give_back(tasks)
        return Response(status_code=204, headers=NO_STORE)
    [error] = await services.tasks.queues.complete(QUEUE, [(task.id, task.token or "", json.dumps({"by": name}))])
    hang_up.stop()
    if error is not None:
        raise error
    return answer(
        Grabbed(
            message=f"Task #{task.number} grabbed by {name}",
            task_id=task.id,
            task_number=task.number,
            title=f"Task {task.number}",
            grabbed_by=name,
            attempts=task.attempts,
            seconds=round(time.perf_counter() - started_s, 3),
        )
    )


async def list_tasks(request: Request) -> Response:
    """GET /tasks."""
    query = read_query(request, TasksQuery)
    states = states_of(query.status, query.state)
    return await page(request, query.queue, states, query.type, query.limit, query.cursor)


async def reset_tasks(request: Request) -> Response:
    """DELETE /reset-tasks."""
    read_query(request, NoQuery)
    deleted = await services_of(request).tasks.queues.reset(QUEUE)
    return answer(Reset(message=f"All tasks deleted ({deleted})", deleted=deleted))


OPERATIONS = (
    Operation(
        "POST",
        "/create-tasks",
        create_tasks,
        "Create tasks to be grabbed",
        "grab demo",
        {200: Answer("They are there.", Created)},
        access=Access.TASKS,
        query=CreateQuery,
        problems=(400, 401, 403, 503),
    ),
    Operation(
        "POST",
        "/grab-task",
        grab_task,
        "Grab one task, do its simulated work, and say which replica did it",
        "grab demo",
        {200: Answer("It is done.", Grabbed)},
        access=Access.TASKS,
        query=NoQuery,
        problems=(400, 401, 403, 404, 409, 503),
    ),
    Operation(
        "GET",
        "/tasks",
        list_tasks,
        "List tasks, those of the demo if no queue is named",
        "tasks",
        {200: Answer("A page: those being worked on, then ready, delayed, dead, done.", TaskPage)},
        access=Access.TASKS,
        query=TasksQuery,
        problems=(400, 401, 403, 503),
    ),
    Operation(
        "DELETE",
        "/reset-tasks",
        reset_tasks,
        "Delete all tasks of the demo",
        "grab demo",
        {200: Answer("They are gone.", Reset)},
        access=Access.TASKS,
        query=NoQuery,
        problems=(400, 401, 403, 503),
    ),
)
