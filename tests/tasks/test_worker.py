"""Workers against a real replica: ours, one written as in the system this replaces, and one in JavaScript."""

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.client.tasks import Refused, TaskClient
from app.worker import Worker, WorkerOptions
from tests.support import tools
from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.waiting import eventually
from tests.tasks.handlers_for_tests import work

ROOT = Path(__file__).parents[2]


@pytest.fixture
def replica(server: RealServer, start_replica: Callable[..., Replica]) -> Replica:
    return start_replica(server.url, OPEN_ROUTES="tasks", TASK_BACKOFF="0")


@asynccontextmanager
async def working(replica: Replica, **options: Any) -> AsyncIterator[tuple[TaskClient, Worker]]:
    async with TaskClient(replica.url) as client:
        worker = Worker(client, work, WorkerOptions("w1", **{"poll_s": 2.0} | options))
        running = asyncio.ensure_future(worker.run())
        yield client, worker
        worker.stop()
        await asyncio.wait_for(running, 15)


async def finished(client: TaskClient, task_id: str, status: str = "completed") -> dict[str, Any]:
    async def check() -> Any:
        task = await client.call("GET", f"/task/{task_id}")
        return task if task["status"] == status else None

    found: dict[str, Any] = await eventually(check, within_s=20)
    return found


def a_task(type_: str, payload: Any, **members: Any) -> dict[str, Any]:
    return {"type": type_, "payload": payload, **members}


async def test_handlers_sync_and_async_do_their_work(replica: Replica) -> None:
    async with working(replica, concurrency=4) as (client, worker):
        ids = await client.enqueue("default", [a_task("double", 21), *(a_task("sync", 1) for _ in range(8))])
        assert (await finished(client, ids[0]))["result"] == 42
        assert (await finished(client, ids[8]))["worker"] == "w1"
        await eventually(lambda: worker.done == 9)


async def test_what_goes_wrong_is_reported_as_what_it_is(replica: Replica) -> None:
    async with working(replica, concurrency=4) as (client, _):
        slow, hopeless, later, broken, unknown = await client.enqueue(
            "default",
            [
                a_task("sleep", 30, maxRetries=1),
                a_task("hopeless", 1),
                a_task("later", 1),
                a_task("broken", 1),
                a_task("unheard-of", 1),
            ],
        )
        assert "longer than its limit of 0.3 s" in (await finished(client, slow, "failed"))["error"]
        assert (await finished(client, hopeless, "failed"))["error"] == "GiveUp: never"
        assert (await finished(client, later))["retries"] == 1
        assert "result was refused" in (await finished(client, broken, "failed"))["error"]
        assert (await client.call("GET", f"/task/{unknown}"))["attempts"] == 0


async def test_a_result_that_cannot_be_sent_fails_its_own_task_and_no_other(replica: Replica) -> None:
    async with working(replica, concurrency=12) as (client, _):
        kinds = ["unspeakable", *["double"] * 9, "confused"]
        first, *others, last = await client.enqueue("default", [a_task(kind, 1, maxRetries=1) for kind in kinds])
        assert "the result is no JSON" in (await finished(client, first, "failed"))["error"]
        assert "cancelled from within" in (await finished(client, last, "failed"))["error"]
        for task_id in others:
            task = await finished(client, task_id)
            assert (task["result"], task["leaseExpiries"]) == (2, 0)


async def test_a_worker_that_was_given_types_it_cannot_handle_does_not_start(replica: Replica) -> None:
    worker = worker_process(replica, "--types", "double,unheard-of")
    assert await asyncio.to_thread(worker.wait, 30) == 2
    assert "--types: there is no handler for unheard-of" in worker_log(replica)


async def test_an_answer_that_is_no_json_is_refused_by_name() -> None:
    portal = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>Please sign in</html>"))
    async with TaskClient("http://portal", transport=portal) as client:
        with pytest.raises(Refused, match="did not answer in JSON"):
            await client.stats("default")


async def test_a_worker_keeps_the_lease_of_a_long_task_by_itself(replica: Replica) -> None:
    async with working(replica) as (client, _):
        [task_id] = await client.enqueue("default", [a_task("long", 5, leaseSeconds=3.5)])
        task = await finished(client, task_id)
        assert (task["attempts"], task["leaseExpiries"]) == (1, 0)


def worker_process(replica: Replica, *options: str, **env: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "app", "worker", "--handlers", "tests.tasks.handlers_for_tests:work", *options]
    environment = {"PATH": os.environ["PATH"], "QUEUE_URL": replica.url, "WORKER_ID": "process", **env}
    with replica.log_path.with_suffix(".worker").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)


def worker_log(replica: Replica) -> str:
    return replica.log_path.with_suffix(".worker").read_text()


async def in_hand(replica: Replica, *task_ids: str) -> None:
    """Until the worker process has these tasks: the service leases a task before its worker has heard of it."""

    def started() -> bool:
        lines = [line for line in worker_log(replica).splitlines() if "task_started" in line]
        return all(any(task_id in line for line in lines) for task_id in task_ids)

    await eventually(started, within_s=30)


async def test_sigterm_lets_work_finish_and_hands_back_what_does_not(replica: Replica, tmp_path: Path) -> None:
    worker = worker_process(replica, "--concurrency", "2", "--grace", "3")
    try:
        async with TaskClient(replica.url) as client:
            soon = tmp_path / "soon"
            short, long = await client.enqueue("default", [a_task("until", str(soon)), a_task("long", 60)])
            await in_hand(replica, short, long)
            worker.send_signal(signal.SIGTERM)
            soon.touch()
            assert await asyncio.to_thread(worker.wait, 30) == 0
            assert (await client.call("GET", f"/task/{short}"))["status"] == "completed"
            handed_back = await client.call("GET", f"/task/{long}")
            assert (handed_back["state"], handed_back["attempts"], handed_back["leaseExpiries"]) == ("ready", 0, 0)
    finally:
        worker.kill()
        worker.wait()


async def test_a_killed_workers_task_is_done_by_another(replica: Replica, tmp_path: Path) -> None:
    first = worker_process(replica)
    try:
        async with TaskClient(replica.url) as client:
            soon = tmp_path / "soon"
            [task_id] = await client.enqueue("default", [a_task("until", str(soon), leaseSeconds=2)])
            await in_hand(replica, task_id)
            first.kill()
            first.wait()
            soon.touch()
            async with working(replica):
                task = await finished(client, task_id)
            assert (task["worker"], task["attempts"], task["leaseExpiries"], task["retries"]) == ("w1", 2, 1, 0)
    finally:
        first.kill()
        first.wait()


async def test_a_worker_outlives_its_service(server: RealServer, start_replica: Callable[..., Replica]) -> None:
    replica = start_replica(server.url, OPEN_ROUTES="tasks")
    async with working(replica) as (client, worker):
        [task_id] = await client.enqueue("default", [a_task("long", 0.6, leaseSeconds=120)])
        await eventually(lambda: worker._running)  # the service leases a task before its worker has heard of it
        replica.kill()
        await asyncio.to_thread(start_replica, server.url, OPEN_ROUTES="tasks", PORT=str(replica.port))
        assert (await finished(client, task_id))["attempts"] == 1


def test_the_worker_of_the_system_this_replaces_works_as_it_is(replica: Replica) -> None:
    """It sends no lease token, polls without waiting, and wants exactly these statuses."""
    connection = http.client.HTTPConnection("localhost", replica.port, timeout=5)

    def exchange(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body)
        headers = {} if data is None else {"Content-Type": "application/json", "Content-Length": str(len(data))}
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content else None

    assert exchange("GET", "/dequeue") == (204, None)
    assert exchange("POST", "/task", {"type": "email"})[0] == 400
    status, accepted = exchange("POST", "/task", {"type": "email", "payload": {"to": "user@example.com"}})
    assert (status, sorted(accepted)) == (202, ["message", "stats", "taskId"])
    for attempt in range(3):
        status, task = exchange("GET", "/dequeue")
        assert (status, task["id"], task["retries"]) == (200, accepted["taskId"], attempt)
        if attempt < 2:
            assert exchange("POST", f"/fail/{task['id']}", {"error": "Random processing error"})[0] == 200
    assert exchange("POST", f"/complete/{task['id']}", {"result": {"sent": True}})[0] == 200
    stats = exchange("GET", "/stats")[1]
    connection.close()
    assert stats.items() >= {"pending": 0, "processing": 0, "completed": 1, "failed": 0}.items()


@pytest.mark.needs("node")
async def test_the_javascript_worker_of_the_docs_works(replica: Replica, tmp_path: Path) -> None:
    [script] = re.findall(r"```js\n(.*?)```", (ROOT / "docs" / "workers.md").read_text(), re.DOTALL)
    assert len(script.splitlines()) <= 30
    (tmp_path / "worker.mjs").write_text(script)
    worker = subprocess.Popen(
        [tools.find("node") or "node", str(tmp_path / "worker.mjs")],
        env={"PATH": os.environ["PATH"], "QUEUE_URL": replica.url},
    )
    try:
        async with TaskClient(replica.url) as client:
            good, bad = await client.enqueue(
                "default", [a_task("email", {"to": "a@example.com"}), a_task("nonsense", 1, maxRetries=1)]
            )
            assert (await finished(client, good))["result"] == {"sent": True, "to": "a@example.com"}
            assert (await finished(client, bad, "failed"))["error"] == "no handler for nonsense"
    finally:
        worker.kill()
        worker.wait()


async def test_a_client_that_hangs_up_gives_its_claim_back_uncounted(replica: Replica) -> None:
    """Rude clients have sent their request and gone before it is read; every task must be whole and uncounted in the end."""
    async with TaskClient(replica.url) as client:
        waiting = socket.create_connection(("127.0.0.1", replica.port))
        waiting.sendall(b"GET /dequeue?wait=30 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await eventually(lambda: _waiting_workers(client, 1))
        waiting.close()
        await eventually(lambda: _waiting_workers(client, 0))
        ids = await client.enqueue("default", [a_task("email", 1) for _ in range(20)])
        replica.signal(signal.SIGSTOP)  # or it might answer one before the client has come to hang up
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", replica.port)) as rude:
                rude.sendall(b"GET /dequeue HTTP/1.1\r\nHost: localhost\r\n\r\n")
        replica.signal(signal.SIGCONT)

        async def whole() -> bool:
            tasks = [await client.call("GET", f"/task/{task_id}") for task_id in ids]
            assert {task["leaseExpiries"] for task in tasks} == {0}
            return {(task["state"], task["attempts"]) for task in tasks} == {("ready", 0)}

        await eventually(whole)


async def _waiting_workers(client: TaskClient, count: int) -> bool:
    return bool((await client.stats("default"))["waitingWorkers"] == count)
