"""Recurring tasks over HTTP."""

import json
import re
from typing import Any, cast

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from app.errors import InvalidInput
from app.tasks.policy import PRIORITIES
from app.tasks.schedules import Schedule
from app.web.access import Access
from app.web.bodies import NO_STORE, Wire, answer, read_body, read_query
from app.web.operations import Answer, Operation, services_of
from app.web.task_models import SCHEDULE_NAME_PATTERN, Priority, QueueQuery, TypeName
from app.web.tasks import to_json


class ScheduleBody(Wire):
    """A recurring task."""

    cron: str = Field(
        min_length=1, max_length=200, description="Like `*/5 * * * *`: minute, hour, day, month, weekday."
    )
    timezone: str = Field("UTC", min_length=1, max_length=64, description="IANA name, like `Europe/Berlin`.")
    type: TypeName
    payload: Any
    priority: Priority = "normal"
    max_retries: int | None = Field(None, ge=0, le=100)
    lease_seconds: float | None = Field(None, ge=1, le=86_400)


class ScheduleView(ScheduleBody):
    """A recurring task and its next tick."""

    name: str
    next_at: int | None = Field(None, description="Milliseconds since 1970.")


class SchedulesView(Wire):
    """A queue's recurring tasks."""

    schedules: list[ScheduleView]


async def schedules(request: Request) -> Response:
    """GET /schedules."""
    query = read_query(request, QueueQuery)
    listed = await services_of(request).tasks.schedules.listed(query.queue)
    views = [_schedule_view(name, schedule, next_ms) for name, (schedule, next_ms) in listed.items()]
    return answer(SchedulesView(schedules=views))


def _schedule_view(name: str, schedule: Schedule, next_ms: int | None) -> ScheduleView:
    return ScheduleView(
        name=name,
        next_at=next_ms,
        cron=schedule.cron,
        timezone=schedule.timezone,
        type=schedule.type,
        payload=json.loads(schedule.payload),
        priority=cast(Priority, PRIORITIES[schedule.priority]),
        max_retries=schedule.max_retries,
        lease_seconds=schedule.lease_ms / 1000 or None,
    )


async def put_schedule(request: Request) -> Response:
    """PUT /schedules/{name}."""
    services = services_of(request)
    query = read_query(request, QueueQuery)
    body = await read_body(request, ScheduleBody)
    schedule = Schedule(
        cron=body.cron,
        timezone=body.timezone,
        type=body.type,
        payload=to_json("payload", body.payload, services.settings),
        priority=PRIORITIES.index(body.priority),
        max_retries=services.settings.task_max_retries if body.max_retries is None else body.max_retries,
        lease_ms=int((body.lease_seconds or 0) * 1000),
    )
    name = request.path_params["name"]
    next_ms = await services.tasks.schedules.put(query.queue, _schedule_name(name), schedule)
    return answer(_schedule_view(name, schedule, next_ms))


async def delete_schedule(request: Request) -> Response:
    """DELETE /schedules/{name}."""
    query = read_query(request, QueueQuery)
    await services_of(request).tasks.schedules.delete(query.queue, request.path_params["name"])
    return Response(status_code=204, headers=NO_STORE)


def _schedule_name(name: str) -> str:
    if not re.fullmatch(SCHEDULE_NAME_PATTERN, name):
        raise InvalidInput("A schedule's name is made of small letters, digits, - and _, 64 at most.")
    return name


_NAME = {"name": SCHEDULE_NAME_PATTERN}
_QUERY = (400, 401, 403, 503)

OPERATIONS = (
    Operation(
        "GET",
        "/schedules",
        schedules,
        "Recurring tasks",
        "schedules",
        {200: Answer("All of a queue.", SchedulesView)},
        access=Access.TASKS,
        query=QueueQuery,
        problems=_QUERY,
    ),
    Operation(
        "PUT",
        "/schedules/{name}",
        put_schedule,
        "Set or change a recurring task",
        "schedules",
        {200: Answer("It will be enqueued at each tick, once.", ScheduleView)},
        access=Access.TASKS,
        query=QueueQuery,
        body=ScheduleBody,
        path_patterns=_NAME,
        problems=(400, 401, 403, 409, 413, 503),
    ),
    Operation(
        "DELETE",
        "/schedules/{name}",
        delete_schedule,
        "Delete a recurring task",
        "schedules",
        {204: Answer("It is gone.")},
        access=Access.TASKS,
        query=QueueQuery,
        path_patterns=_NAME,
        problems=(400, 401, 403, 404, 503),
    ),
)
