"""A task's whole life on every topology that the store can have."""

import asyncio
from collections.abc import Callable
from functools import partial

import httpx
import pytest

from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.waiting import eventually


@pytest.fixture
def server_store_url(server: RealServer) -> str:
    return server.url


@pytest.mark.parametrize(
    "topology",
    [
        "server_store_url",
        pytest.param("sentinel_store_url", marks=pytest.mark.topology),
        pytest.param("cluster_store_url", marks=pytest.mark.topology),
    ],
)
async def test_tasks_of_several_queues_wait_wake_retry_and_tick(
    topology: str, request: pytest.FixtureRequest, start_replica: Callable[..., Replica]
) -> None:
    url: str = request.getfixturevalue(topology)
    replica = start_replica(url, OPEN_ROUTES="tasks", TASK_BACKOFF="0.01", TASK_LEASE="1")
    async with httpx.AsyncClient(base_url=replica.url, timeout=30) as client:
        names = [f"q{number}" for number in range(5)]
        waiting = [asyncio.ensure_future(client.get(f"/dequeue?wait=20&queue={name}")) for name in names]
        for name in names:
            await eventually(partial(_waits, client, name))
            put = await client.post(f"/task?queue={name}", json={"type": "email", "payload": {"to": name}})
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
            again = await client.get(f"/dequeue?wait=20&queue={name}")
            assert again.json()["payload"]["to"] == name
        body = {"cron": "* * * * *", "type": "tick", "payload": 1}
        assert (await client.put("/schedules/often?queue=q1", json=body)).status_code == 200


async def _waits(client: httpx.AsyncClient, queue: str) -> bool:
    stats = (await client.get(f"/stats?queue={queue}")).json()
    return bool(stats["waitingWorkers"] > 0)
