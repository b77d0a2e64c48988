"""A task queue on a real store, as a replica has it, and tasks to put in."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app.metrics import Metrics, TaskMetrics
from app.services.background import run_in_background
from app.settings import Settings
from app.store import Store
from app.store.store import open_store
from app.tasks.model import NewTask
from app.tasks.queues import Claim, new_task_id
from app.tasks.service import TaskService, open_tasks
from tests.conftest import make_settings
from tests.support.servers import RealServer
from tests.tasks.looking import FAKE_NOW, set_now

ANY = Claim("default", (), 1, "w")
NOW_MS = 1_700_000_000_000
"""Where the clock of `timed_store` begins."""


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
    return service_on(store, task_max_expiries=2)


@pytest.fixture
async def looked_after(service: TaskService) -> AsyncIterator[TaskService]:
    """A service whose loops run, and begin again after errors as a replica's do."""
    async with AsyncExitStack() as stack:
        for loop in (service.housekeeping.run, service.dispatcher.listen, service.dispatcher.look_now_and_then):
            run_in_background(stack, loop.__name__, loop)
        yield service


@pytest.fixture
async def timed_store(server: RealServer) -> AsyncIterator[Store]:
    """A connection to the emptied server whose queues go by a clock that stands still until the test sets it."""
    with server.client() as client:
        set_now(client, NOW_MS)
        async with AsyncExitStack() as stack:
            yield await open_store(stack, server.url, Metrics(), {"now": FAKE_NOW})
