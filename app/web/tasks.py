"""The task routes: producers put work in, workers take it and say what became of it."""

import asyncio
import json
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.errors import InvalidInput, NotFound, StanchionError
from app.settings import Settings
from app.store.keys import task_idempotency_hash
from app.tasks.model import NewTask, Task
from app.tasks.policy import PRIORITIES, check_size, execute_at_ms
from app.tasks.queues import Claim, new_task_id, queue_of
from app.tasks.service import TaskService
from app.web.bodies import NO_STORE, answer, read_body, read_query
from app.web.claims import ClaimAnswer, HangUp
from app.web.operations import services_of
from app.web.task_models import (
    TASK_ID_PATTERN,
    Accepted,
    AcceptedBatch,
    AcceptedTask,
    CompleteBody,
    Completion,
    CompletionsBody,
    DequeueQuery,
    Extended,
    FailBody,
    Failed,
    Finished,
    HeartbeatBody,
    Judged,
    JudgedList,
    QueueQuery,
    ReleaseBody,
    Released,
    TaskBody,
    TasksBody,
    split_types,
    stats_view,
    task_json,
    tasks_json,
)


async def create_task(request: Request) -> Response:
    """POST /task."""
    services = services_of(request)
    query = read_query(request, QueueQuery)
    body = await read_body(request, TaskBody)
    key = body.idempotency_key or request.headers.get("idempotency-key")
    task = new_task(query.queue, body, services.settings, key)
    stats, [(task_id, new)] = await services.tasks.queues.enqueue(query.queue, [task])
    message = "Task enqueued" if new else "Task was enqueued before"
    return answer(Accepted(task_id=task_id, message=message, stats=stats_view(stats)), 202)


async def create_tasks(request: Request) -> Response:
    """POST /tasks."""
    services = services_of(request)
    query = read_query(request, QueueQuery)
    body = await read_body(request, TasksBody)
    tasks = [new_task(query.queue, item, services.settings, item.idempotency_key) for item in body.tasks]
    stats, taken = await services.tasks.queues.enqueue(query.queue, tasks)
    accepted = [AcceptedTask(task_id=task_id, new=new) for task_id, new in taken]
    message = f"{sum(new for _, new in taken)} tasks enqueued"
    return answer(AcceptedBatch(tasks=accepted, message=message, stats=stats_view(stats)), 202)


def new_task(queue: str, body: TaskBody, settings: Settings, idempotency_key: str | None) -> NewTask:
    """The task that a body describes.

    Raises:
        InvalidInput, TooLarge: it cannot be taken in.
    """
    if idempotency_key is not None and len(idempotency_key) > 200:
        raise InvalidInput("The idempotency key is longer than 200 characters.")
    return NewTask(
        id=new_task_id(queue),
        type=body.type,
        payload=to_json("payload", body.payload, settings),
        priority=PRIORITIES.index(body.priority),
        execute_at_ms=0 if body.execute_at is None else execute_at_ms(body.execute_at),
        delay_ms=int(body.delay_seconds * 1000),
        max_retries=settings.task_max_retries if body.max_retries is None else body.max_retries,
        lease_ms=int((body.lease_seconds or 0) * 1000),
        idempotency="" if idempotency_key is None else task_idempotency_hash(idempotency_key),
    )


def to_json(what: str, value: Any, settings: Settings) -> str:
    """Compact JSON text within the size limit.

    Raises:
        InvalidInput: not a number, or broken Unicode.
        TooLarge: it is beyond the limit.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        text.encode()
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The {what} cannot be kept as JSON: {error}.") from None
    return check_size(what, text, settings.task_max_payload)


async def dequeue(request: Request) -> Response:
    """GET /dequeue."""
    if request.method == "HEAD":
        raise InvalidInput("HEAD would take a task without showing it; use GET.")
    query = read_query(request, DequeueQuery)
    claim = Claim(query.queue, split_types(query.types), query.count or 1, query.worker)
    hang_up, tasks = await claim_for(request, claim, min(query.wait, services_of(request).settings.task_max_wait))
    if not tasks:
        hang_up.stop()
        return Response(status_code=204, headers=NO_STORE)
    one = query.count is None
    text = task_json(tasks[0], with_token=True) if one else tasks_json(tasks, with_token=True)
    service = services_of(request).tasks
    return ClaimAnswer(text, hang_up, lambda: service.dispatcher.give_back(tasks))


async def claim_for(request: Request, claim: Claim, wait_s: float) -> tuple[HangUp, list[Task]]:
    """Claim on behalf of a request's client; what is found after it has gone is given back."""
    service: TaskService = services_of(request).tasks
    hang_up = HangUp(request)
    claiming = asyncio.ensure_future(service.dispatcher.claim(claim, wait_s, hang_up.gone))
    try:
        return hang_up, await asyncio.shield(claiming)
    except BaseException:
        hang_up.stop()
        claiming.add_done_callback(lambda done: _give_back(service, done))
        raise


def _give_back(service: TaskService, claiming: "asyncio.Future[list[Task]]") -> None:
    if not claiming.cancelled() and claiming.exception() is None:
        service.dispatcher.give_back(claiming.result())


async def complete(request: Request) -> Response:
    """POST /complete/{id}."""
    body = await read_body(request, CompleteBody, required=False)
    task_id = path_id(request)
    [error] = await _complete(request, [Completion.model_construct(id=task_id, **body.__dict__)])
    if error is not None:
        raise error
    return answer(Finished(id=task_id))


async def complete_many(request: Request) -> Response:
    """POST /complete."""
    body = await read_body(request, CompletionsBody)
    judged = [
        Judged(id=item.id, status="completed")
        if error is None
        else Judged(id=item.id, status="refused", problem=error.message)
        for item, error in zip(body.tasks, await _complete(request, body.tasks), strict=True)
    ]
    return answer(JudgedList(tasks=judged))


async def _complete(request: Request, completions: list[Completion]) -> list[StanchionError | None]:
    """What is wrong with each, in their order."""
    services = services_of(request)
    by_queue: dict[str, dict[int, tuple[str, str, str]]] = {}
    for place, item in enumerate(completions):
        entry = (item.id, item.lease_token or "", to_json("result", item.result, services.settings))
        by_queue.setdefault(queue_of(item.id), {})[place] = entry
    judged: dict[int, StanchionError | None] = {}
    for queue, entries in by_queue.items():
        errors = await services.tasks.queues.complete(queue, list(entries.values()))
        judged.update(zip(entries, errors, strict=True))
    return [judged[place] for place in range(len(completions))]


async def fail(request: Request) -> Response:
    """POST /fail/{id}."""
    services = services_of(request)
    body = await read_body(request, FailBody, required=False)
    task_id = path_id(request)
    failure = await services.tasks.queues.fail(
        queue_of(task_id),
        task_id,
        body.lease_token or "",
        check_size("error", body.error, services.settings.task_max_payload),
        final=not body.retry,
        delay_ms=None if body.retry_after_seconds is None else int(body.retry_after_seconds * 1000),
    )
    return answer(
        Failed(
            id=task_id,
            status="pending" if failure.status == "pending" else "failed",
            retries=failure.retries,
            max_retries=failure.max_retries,
            execute_at=failure.due_ms or None,
        )
    )


async def heartbeat(request: Request) -> Response:
    """POST /heartbeat/{id}."""
    body = await read_body(request, HeartbeatBody, required=False)
    task_id = path_id(request)
    queues = services_of(request).tasks.queues
    until_ms = await queues.extend(queue_of(task_id), task_id, body.lease_token or "")
    return answer(Extended(id=task_id, lease_until=until_ms))


async def release(request: Request) -> Response:
    """POST /release/{id}."""
    body = await read_body(request, ReleaseBody, required=False)
    task_id = path_id(request)
    queues = services_of(request).tasks.queues
    [error] = await queues.release(queue_of(task_id), [(task_id, body.lease_token or "")])
    if error is not None:
        raise error
    return answer(Released(id=task_id))


async def look(request: Request) -> Response:
    """GET /task/{id}."""
    task_id = path_id(request)
    task = await services_of(request).tasks.queues.look(queue_of(task_id), task_id)
    return json_answer(task_json(task))


async def delete(request: Request) -> Response:
    """DELETE /task/{id}."""
    task_id = path_id(request)
    await services_of(request).tasks.queues.delete(queue_of(task_id), task_id)
    return Response(status_code=204, headers=NO_STORE)


def json_answer(text: str) -> Response:
    """A JSON answer from text that is JSON already."""
    return Response(text, 200, headers=NO_STORE, media_type="application/json")


def parse_cursor(cursor: str) -> tuple[int, int]:
    """Where a list goes on.

    Raises:
        InvalidInput: it is none that this service gave out.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,8})\.([0-9]{1,9})", cursor)
    if found is None:
        raise InvalidInput("The cursor is not one that this service gave out; begin without one.")
    return int(found[1]), int(found[2])


def path_id(request: Request) -> str:
    """The task id in the path.

    Raises:
        NotFound: no task can have it.
    """
    task_id: str = request.path_params["id"]
    if not re.fullmatch(TASK_ID_PATTERN, task_id):
        raise NotFound("There is no task of this id; task ids look like task-1700000000000-0a1b2c3d4e5f.")
    return task_id
