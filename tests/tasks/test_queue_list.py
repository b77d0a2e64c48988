"""Queues come and go: one that is used is always listed, one that is not used any more leaves nothing behind."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app.errors import Conflict, NotFound
from app.metrics import TaskMetrics
from app.store import Store
from app.store.keys import TASK_QUEUES
from app.tasks.queue_list import MAX_QUEUES, UNUSED_S, QueueList
from app.tasks.queues import Claim, new_task_id
from app.tasks.schedules import Schedule
from app.tasks.scripts import SCRIPTS
from app.tasks.service import TaskService
from tests.support.servers import RealServer
from tests.support.waiting import eventually
from tests.tasks.conftest import service_on, some
from tests.tasks.looking import Scripts

QUEUE = "brief"
META = "stanchion:{tasks:brief}:meta"
ONE = Claim(QUEUE, (), 1, "w")


@pytest.fixture
def service(store: Store) -> TaskService:
    return service_on(store)


def a_task(**changes: Any) -> Any:
    return some(id=new_task_id(QUEUE), **changes)


def age(client: Any, queue: str = QUEUE) -> None:
    """As if nothing had come into the queue for an hour."""
    client.zincrby(TASK_QUEUES, -UNUSED_S * 1000 - 1, queue)


def of_the_queue(client: Any) -> list[str]:
    return sorted(client.scan_iter(match="stanchion:{tasks:brief}:*"))


async def test_a_queue_in_which_nothing_is_left_is_forgotten(service: TaskService, server: RealServer) -> None:
    queues = service.queues
    await queues.enqueue(QUEUE, [a_task()])
    [task] = await queues.claim(ONE)
    await queues.complete(QUEUE, [(task.id, task.token or "", "1")])
    with server.client() as client:
        age(client)
        for _ in range(2):
            await queues.list.forget_unused()
        assert await queues.list.names() == [QUEUE], "its result is still kept"
        await queues.delete(QUEUE, task.id)
        await queues.list.forget_unused()
        await queues.list.forget_unused()
        assert await queues.list.names() == []
        assert of_the_queue(client) == []


async def test_a_queue_that_was_used_within_the_hour_is_not_forgotten(service: TaskService, server: RealServer) -> None:
    task = a_task()
    await service.queues.enqueue(QUEUE, [task])
    await service.queues.delete(QUEUE, task.id)
    await service.queues.list.forget_unused()
    await service.queues.list.forget_unused()
    assert (await service.queues.stats(QUEUE)).counters["enqueued"] == 1
    assert await service.queues.list.names() == [QUEUE]


async def leave_ready(service: TaskService) -> None:
    await service.queues.enqueue(QUEUE, [a_task()])


async def leave_delayed(service: TaskService) -> None:
    await service.queues.enqueue(QUEUE, [a_task(delay_ms=86_400_000)])


async def leave_leased(service: TaskService) -> None:
    await leave_ready(service)
    await service.queues.claim(ONE)


async def leave_dead(service: TaskService) -> None:
    await leave_ready(service)
    [task] = await service.queues.claim(ONE)
    await service.queues.fail(QUEUE, task.id, task.token or "", "no", final=True, delay_ms=None)


async def leave_schedule(service: TaskService) -> None:
    await service.schedules.put(QUEUE, "leap-day", Schedule("0 0 29 2 *", "UTC", "report", "1", 1, 3, 0))


@pytest.mark.parametrize("leave", [leave_ready, leave_delayed, leave_leased, leave_dead, leave_schedule])
async def test_a_queue_that_has_something_left_stays_however_long(
    service: TaskService, server: RealServer, leave: Callable[[TaskService], Any]
) -> None:
    await leave(service)
    with server.client() as client:
        age(client)
        before = of_the_queue(client)
        for _ in range(3):
            await service.queues.list.forget_unused()
        assert of_the_queue(client) == before
    assert await service.queues.list.names() == [QUEUE]


def interleavings(lines: list[list[str]]) -> Iterator[list[str]]:
    """Every order in which steps can happen that keeps each line's own order."""
    if not any(lines):
        yield []
    for i, line in enumerate(lines):
        if line:
            for rest in interleavings([*lines[:i], line[1:], *lines[i + 1 :]]):
                yield [line[0], *rest]


def test_no_order_of_steps_takes_a_queue_with_a_task_off_the_list(server: RealServer) -> None:
    """Two replicas look for unused queues, drop them and take them off the list, while a third puts a task in."""
    with server.client() as client:
        run = Scripts(client, QUEUE)

        def listing(name: str, **args: Any) -> Any:
            packed = SCRIPTS[name].pack({"queues": TASK_QUEUES}, args)
            return client.eval(run.texts[name], *packed)

        def unused(dropped: list[str]) -> list[str]:
            found: list[str] = listing("unused", unused_ms=int(UNUSED_S * 1000), dropped=dropped)[1]
            return found

        tried = 0
        for order in interleavings(
            [["a looks", "a drops", "a ends"], ["b looks", "b drops", "b ends"], ["note", "put"]]
        ):
            client.flushall()
            listing("note", queue=QUEUE, most=9)
            client.hset(META, "enqueued", 7)
            age(client)
            found: dict[str, list[str]] = {}
            for step in order:
                who, _, what = step.partition(" ")
                if step == "note":
                    listing("note", queue=QUEUE, most=9)
                elif step == "put":
                    run("enqueue", remember_ms=1, entries=["t", "a", '"p"', 1, 0, 0, 3, 0, ""])
                elif what == "looks":
                    found[who] = unused([])
                elif what == "drops":
                    found[who] = [name for name in found[who] if run("clear", forget=1) == [0]]
                else:
                    unused(found[who])
            assert client.zscore(TASK_QUEUES, QUEUE) is not None, order
            assert client.zcard("stanchion:{tasks:brief}:ready:1:a") == 1, order
            tried += 1
        assert tried == 560


async def test_a_thousand_queues_is_the_most_until_some_are_forgotten(service: TaskService, server: RealServer) -> None:
    with server.client() as client:
        client.zadd(TASK_QUEUES, {f"queue-{number}": 0 for number in range(MAX_QUEUES)})
        with pytest.raises(Conflict, match="1000 queues"):
            await service.queues.enqueue(QUEUE, [a_task()])
        assert of_the_queue(client) == []
        await service.queues.enqueue("queue-7", [some()])
        await service.queues.list.forget_unused()
        await service.queues.list.forget_unused()
        await service.queues.enqueue(QUEUE, [a_task()])
        assert await service.queues.list.names() == [QUEUE, "queue-7"]


async def test_a_replica_notes_a_queue_now_and_then_and_not_with_every_task(store: Store, server: RealServer) -> None:
    noting = QueueList(store)
    await noting.note(QUEUE)
    with server.client() as client:
        first = client.zscore(TASK_QUEUES, QUEUE)
        client.config_resetstat()
        for _ in range(5):
            await noting.note(QUEUE)
        assert "cmdstat_evalsha" not in client.info("commandstats")
        assert client.zscore(TASK_QUEUES, QUEUE) == first
        await QueueList(store).note(QUEUE)
        assert client.zscore(TASK_QUEUES, QUEUE) >= first


async def test_housekeeping_brings_nothing_of_a_forgotten_queue_back(
    store: Store, server: RealServer, tmp_path: Path
) -> None:
    service = service_on(store, dead_letter_log=tmp_path / "dead.jsonl")
    await service.housekeeping.step([QUEUE])
    with server.client() as client:
        assert of_the_queue(client) == []


async def test_metrics_of_queues_that_are_gone_end_and_those_never_there_do_not_begin(store: Store) -> None:
    service = service_on(store)
    registry = CollectorRegistry()
    service.queues._metrics = service.housekeeping._metrics = TaskMetrics(registry)

    def queues_told_of() -> set[str]:
        return {s.labels["queue"] for metric in registry.collect() for s in metric.samples if "queue" in s.labels}

    assert await service.queues.claim(Claim("nobody", (), 1, "w")) == []
    with pytest.raises(NotFound):
        await service.queues.extend("nobody", "nobody:task-1", "1")
    [refused] = await service.queues.complete("nobody", [("nobody:task-1", "1", "1")])
    assert isinstance(refused, NotFound)
    assert queues_told_of() == set()
    await service.queues.enqueue(QUEUE, [a_task()])
    await service.queues.claim(ONE)
    await service.housekeeping.report_depths([QUEUE])
    assert queues_told_of() == {QUEUE}
    await service.housekeeping.report_depths([])
    assert queues_told_of() == set()


async def test_a_lease_that_a_claim_finds_run_out_is_counted(store: Store) -> None:
    service = service_on(store)
    registry = CollectorRegistry()
    service.queues._metrics = TaskMetrics(registry)
    await service.queues.enqueue(QUEUE, [a_task(lease_ms=1)])
    await service.queues.claim(ONE)
    await eventually(lambda: service.queues.claim(ONE))
    assert registry.get_sample_value("stanchion_tasks_lease_expiries_total", {"queue": QUEUE}) == 1
