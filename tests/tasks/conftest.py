"""A task queue on a real store, as a replica has it, and tasks to put in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app.metrics import TaskMetrics
from app.settings import Settings
from app.store import Store
from app.tasks.model import NewTask
from app.tasks.queues import Claim, new_task_id
from app.tasks.service import TaskService, open_tasks
from tests.conftest import make_settings

ANY = Claim("default", (), 1, "w")


def some(type_: str = "email", priority: int = 1, **changes: Any) -> NewTask:
    fields: dict[str, Any] = {
        "id": new_task_id("default"),
        "type": type_,
        "payload": '{"n":1}',
        "priority": priority,
        "execute_at_ms": 0,
        "delay_ms": 0,
        "max_retries": 3,
        "lease_ms": 0,
        "idempotency": "",
    }
    return NewTask(**fields | changes)


def service_on(store: Store, replica: str = "me", **changes: Any) -> TaskService:
    settings: Settings = make_settings(redis_url="redis://unused", **changes)
    return open_tasks(AsyncExitStack(), store, settings, TaskMetrics(CollectorRegistry()), replica, lambda: False)


@pytest.fixture
def service(store: Store) -> TaskService:
    return service_on(store, task_lease=1.0, task_max_expiries=2)


@pytest.fixture
async def looked_after(service: TaskService) -> AsyncIterator[TaskService]:
    """A service whose loops run."""
    loops = [
        asyncio.ensure_future(loop())
        for loop in (service.housekeeping.run, service.dispatcher.listen, service.dispatcher.look_now_and_then)
    ]
    yield service
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
