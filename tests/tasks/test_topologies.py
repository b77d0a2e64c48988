"""A task's whole life on every topology that the store can have."""

import asyncio
from collections.abc import Callable
from functools import partial

import httpx
import pytest

from tests.store.conftest import opened
from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.waiting import eventually
from tests.tasks.conftest import service_on, some


@pytest.fixture
def server_store_url(server: RealServer) -> str:
    return server.url


@pytest.fixture(
    params=[
        "server_store_url",
        pytest.param("sentinel_store_url", marks=pytest.mark.topology),
        pytest.param("cluster_store_url", marks=pytest.mark.topology),
    ]
)
def store_url(request: pytest.FixtureRequest) -> str:
    """The store's address, once for each topology."""
    url: str = request.getfixturevalue(request.param)
    return url


async def test_tasks_of_several_queues_wait_wake_retry_and_are_scheduled(
    store_url: str, start_replica: Callable[..., Replica]
) -> None:
    replica = start_replica(store_url, OPEN_ROUTES="tasks", TASK_BACKOFF="0.01")
    async with httpx.AsyncClient(base_url=replica.url, timeout=60) as client:
        names = [f"q{number}" for number in range(5)]
        waiting = [asyncio.ensure_future(client.get(f"/dequeue?wait=40&queue={name}")) for name in names]
        for name in names:
            await eventually(partial(_waits, client, name))
            work = {"type": "email", "payload": {"to": name}, "leaseSeconds": 1 if name == names[-1] else 60}
            put = await client.post(f"/task?queue={name}", json=work)
            assert put.status_code == 202, put.text
        tasks = [answer.json() for answer in await asyncio.gather(*waiting)]
        assert [task["payload"]["to"] for task in tasks] == names
        for task in tasks[:2]:
            body = {"leaseToken": task["leaseToken"], "error": "again"}
            assert (await client.post(f"/fail/{task['id']}", json=body)).status_code == 200
        done = [{"id": task["id"], "leaseToken": task["leaseToken"]} for task in tasks[2:4]]
        judged = (await client.post("/complete", json={"tasks": done})).json()["tasks"]
        assert {one["status"] for one in judged} == {"completed"}
        for name in ("q0", "q4"):  # one failed, the other's lease runs out
            again = await client.get(f"/dequeue?wait=40&queue={name}")
            assert again.json()["payload"]["to"] == name
        body = {"cron": "0 0 29 2 *", "type": "tick", "payload": 1}  # no tick comes between setting and seeing it
        next_at = (await client.put("/schedules/often?queue=q1", json=body)).json()["nextAt"]
        [listed] = (await client.get("/schedules?queue=q1")).json()["schedules"]
        assert (listed["name"], listed["nextAt"]) == ("often", next_at)


async def test_queues_are_listed_and_forgotten_wherever_their_keys_lie(store_url: str) -> None:
    async with opened(store_url) as store:
        queues = service_on(store).queues
        names = [f"q{number}" for number in range(9)]
        for name in names:
            await queues.enqueue(name, [some(id=f"{name}:task-1")])
        assert await queues.list.names() == names
        for name in names[:6]:
            await queues.delete(name, f"{name}:task-1")
        for _ in range(2):
            await queues.list.forget_unused(unused_s=0)
        assert await queues.list.names() == names[6:]
        assert {name: stats.counters.get("enqueued") for name, stats in (await queues.stats_of(names)).items()} == {
            name: 1 if name in names[6:] else None for name in names
        }


async def _waits(client: httpx.AsyncClient, queue: str) -> bool:
    stats = (await client.get(f"/stats?queue={queue}")).json()
    return bool(stats["waitingWorkers"] > 0)
