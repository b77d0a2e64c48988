"""How long tasks run, by type and outcome, as the metrics tell it."""

from contextlib import AsyncExitStack

import pytest
from prometheus_client import CollectorRegistry

from app.errors import LeaseLost
from app.metrics import MAX_TYPES_RUN, TaskMetrics
from app.store import Store
from app.tasks.service import TaskService, open_tasks
from tests.conftest import make_settings
from tests.tasks.conftest import ANY, some

RUN_MS = 700


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def service(store: Store, registry: CollectorRegistry) -> TaskService:
    settings = make_settings(redis_url="redis://unused", require_lease_token=True)
    return open_tasks(AsyncExitStack(), store, settings, TaskMetrics(registry), "me", lambda: False)


async def handed_out(service: TaskService, store: Store, type_: str, **changes: int) -> tuple[str, str]:
    """A task that was handed out a while ago: its id and token."""
    await service.queues.enqueue("default", [some(type_, **changes)])
    [task] = await service.queues.claim(ANY)
    key = f"stanchion:{{tasks:default}}:t:{task.id}"
    await store.client.hincrby(key, "started", -RUN_MS)
    return task.id, task.token


def runs(registry: CollectorRegistry, type_: str, outcome: str, queue: str = "default") -> tuple[float, float]:
    """How many, and for how many seconds in all."""
    labels = {"queue": queue, "type": type_, "outcome": outcome}
    return tuple(
        registry.get_sample_value(f"stanchion_task_run_seconds_{part}", labels) or 0 for part in ("count", "sum")
    )  # type: ignore[return-value]


async def test_a_run_lasts_from_its_claim_to_its_end_and_is_counted_once(
    service: TaskService, store: Store, registry: CollectorRegistry
) -> None:
    task_id, token = await handed_out(service, store, "email")
    for _ in range(3):
        assert (await service.queues.complete("default", [(task_id, token, "1")]))[0] is None
    count, total_s = runs(registry, "email", "completed")
    assert count == 1
    assert RUN_MS / 1000 <= total_s < RUN_MS / 1000 + 10


async def test_failures_are_told_apart_from_deaths(
    service: TaskService, store: Store, registry: CollectorRegistry
) -> None:
    task_id, token = await handed_out(service, store, "report", max_retries=2)
    for _ in range(2):
        await service.queues.fail("default", task_id, token, "no", final=False, delay_ms=0)
    [again] = await service.queues.claim(ANY)
    await service.queues.fail("default", again.id, again.token, "no", final=False, delay_ms=0)
    assert [runs(registry, "report", outcome)[0] for outcome in ("failed", "dead", "completed")] == [1, 1, 0]


async def test_a_late_worker_adds_nothing(service: TaskService, store: Store, registry: CollectorRegistry) -> None:
    task_id, token = await handed_out(service, store, "image")
    [refused] = await service.queues.complete("default", [(task_id, "1", "1")])
    assert isinstance(refused, LeaseLost)
    with pytest.raises(LeaseLost):
        await service.queues.fail("default", task_id, "1", "no", final=True, delay_ms=None)
    assert runs(registry, "image", "completed") == runs(registry, "image", "dead") == (0, 0)
    await service.queues.complete("default", [(task_id, token, "1")])
    assert runs(registry, "image", "completed")[0] == 1


def test_types_without_number_do_not_make_series_without_number(registry: CollectorRegistry) -> None:
    metrics = TaskMetrics(registry)
    for number in range(MAX_TYPES_RUN + 50):
        metrics.observe_run("default", f"type-{number}", "completed", 1.0)
    metrics.observe_run("default", "type-0", "completed", 1.0)
    assert runs(registry, "type-0", "completed")[0] == 2
    assert runs(registry, "(others)", "completed", "(others)")[0] == 50
