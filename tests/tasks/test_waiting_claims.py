"""Claims that wait for work: told as it comes, in order, and none lost on the way."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app.metrics import TaskMetrics
from app.store import Store
from app.tasks.queues import Claim
from app.tasks.service import TaskService, open_tasks
from tests.conftest import make_settings
from tests.support.waiting import eventually
from tests.tasks.conftest import ANY, service_on, some


async def test_a_waiting_claim_gets_a_task_as_it_comes_and_waiters_are_served_in_order(
    looked_after: TaskService,
) -> None:
    waiting = []
    for _ in range(4):
        waiting.append(asyncio.ensure_future(looked_after.dispatcher.claim(ANY, 60)))
        await eventually(lambda: looked_after.dispatcher.waiting == len(waiting))
    other = asyncio.ensure_future(looked_after.dispatcher.claim(Claim("default", ("image",), 1, "w"), 60))
    await eventually(lambda: looked_after.dispatcher.waiting == 5)
    put = [some() for _ in range(4)]
    for task in put:
        await looked_after.queues.enqueue("default", [task])
    served = await asyncio.wait_for(asyncio.gather(*waiting), 15)
    # Who came first has the task that came first; whose claim is then heard of first is the loop's to say.
    assert [[task.id for task in tasks] for tasks in served] == [[task.id] for task in put]
    await looked_after.queues.enqueue("default", [some("image")])
    assert (await asyncio.wait_for(other, 15))[0].type == "image"
    assert looked_after.dispatcher.waiting == 0


async def test_a_lost_wake_up_costs_two_seconds_at_most(service: TaskService) -> None:
    looks = asyncio.ensure_future(service.dispatcher.look_now_and_then())
    waiting = asyncio.ensure_future(service.dispatcher.claim(ANY, 10))
    await eventually(lambda: service.dispatcher.waiting == 1)
    await service.queues.enqueue("default", [some()])
    assert len(await asyncio.wait_for(waiting, 5)) == 1
    looks.cancel()


async def test_a_wake_up_that_comes_as_a_round_ends_begins_another(
    service: TaskService, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher, rounds = service.dispatcher, 0
    waiting = asyncio.ensure_future(dispatcher.claim(ANY, 60))
    await eventually(lambda: dispatcher.waiting == 1)

    async def find_nothing(queue: str, _: object) -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            asyncio.get_running_loop().call_soon(dispatcher._on_wake, queue)

    monkeypatch.setattr(dispatcher, "_serve_types", find_nothing)
    dispatcher._on_wake("default")
    await eventually(lambda: rounds == 2)
    waiting.cancel()


async def test_a_client_that_goes_away_while_it_waits_takes_no_task(looked_after: TaskService) -> None:
    gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(looked_after.dispatcher.claim(ANY, 30, gone))
    await eventually(lambda: looked_after.dispatcher.waiting == 1)
    gone.set_result(None)
    assert await asyncio.wait_for(waiting, 5) == []
    await looked_after.queues.enqueue("default", [some()])
    [task] = await looked_after.queues.claim(ANY)
    assert task.attempts == 1


async def test_a_draining_replica_lets_its_waiting_claims_go(store: Store) -> None:
    metrics, draining = TaskMetrics(CollectorRegistry()), asyncio.Event()
    settings = make_settings(redis_url="redis://unused")
    service = open_tasks(AsyncExitStack(), store, settings, metrics, "me", draining.is_set)
    waiting = asyncio.ensure_future(service.dispatcher.claim(ANY, 60))
    await eventually(lambda: service.dispatcher.waiting == 1)
    draining.set()
    assert await asyncio.wait_for(waiting, 5) == []


async def test_a_worker_that_waits_at_one_replica_gets_what_comes_in_at_another(
    looked_after: TaskService, store: Store
) -> None:
    waiting = asyncio.ensure_future(looked_after.dispatcher.claim(ANY, 30))
    await eventually(lambda: looked_after.dispatcher.waiting == 1)
    other = service_on(store, "other")
    await other.queues.enqueue("default", [some()])
    [task] = await asyncio.wait_for(waiting, 10)
    await other.queues.release("default", [(task.id, task.token or "")])
    again = asyncio.ensure_future(looked_after.dispatcher.claim(Claim("default", ("image",), 1, "w"), 30))
    await eventually(lambda: looked_after.dispatcher.waiting == 1)
    await other.queues.enqueue("default", [some("report"), some("image")])
    assert [found.type for found in await asyncio.wait_for(again, 10)] == ["image"]


async def test_a_failing_claim_takes_nothing_from_those_claimed_with_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, broken = service_on(store), 0
    dispatcher, run_many = service.dispatcher, store.run_many

    async def first_of_two_fails(calls: Any, **how: Any) -> list[Any]:
        nonlocal broken
        replies = await run_many(calls, **how)
        if len(calls) == 2:
            broken += 1
            replies[0] = RuntimeError("its reply is lost")
        return replies

    waiting = [asyncio.ensure_future(dispatcher.claim(ANY, 60)) for _ in range(6)]
    await eventually(lambda: dispatcher.waiting == 6)
    await service.queues.enqueue("default", [some() for _ in range(12)])
    with monkeypatch.context() as patched:
        patched.setattr(store, "run_many", first_of_two_fails)
        dispatcher._on_wake("default")
        await eventually(lambda: broken == 1 and not dispatcher._serving)
    dispatcher._on_wake("default")
    got = {task.id for [task] in await asyncio.wait_for(asyncio.gather(*waiting), 15)}
    assert len(got) == 6
    assert (await service.queues.stats("default")).stats.processing == 6 + broken


async def test_what_is_noted_of_wake_ups_does_not_add_up(looked_after: TaskService) -> None:
    for number in range(20):
        queue = f"queue-{number}"
        await looked_after.queues.enqueue(queue, [some()])
        assert await looked_after.dispatcher.claim(Claim(queue, (), 1, "w"), 5)
    await eventually(lambda: not looked_after.dispatcher._wakes)
