"""The task queue: throughput against saq, arq and rq on the same store, claim latency, memory, strict mode's cost."""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from pydantic import SecretStr

from app.errors import StoreUnavailable
from app.metrics import Metrics
from app.settings import Settings
from app.store.store import open_store
from app.tasks.model import NewTask
from app.tasks.queues import Claim, TaskQueues, new_task_id
from benchmarks._tasks_http import Connection, connections
from benchmarks.processes import Running, RunningStore, replica, store_server

COUNT = 20_000
BATCH = 100
CLIENTS = 16
LATENCY_SAMPLES = 1000
MEMORY_TASKS = 1_000_000
MEMORY_BATCH = 200
COMPETITORS = ("saq", "arq", "rq")
PACKAGES = ("saq[redis]", "arq", "rq", "typing_extensions")


def run() -> dict[str, object]:
    """All of it; takes about ten minutes, most of them for the million tasks and rq."""
    with store_server() as store, replica(store, OPEN_ROUTES="tasks") as service:
        throughput = [
            asyncio.run(_one_by_one(store, service)),
            asyncio.run(_in_batches(store, service)),
            _with_own_worker(store, service),
        ]
        throughput += _competitors(store)
        store.client().flushall()
        latency = asyncio.run(_latency(service))
        store.client().flushall()
        memory = asyncio.run(_memory(store))
    return {
        "no-ops, end to end": throughput,
        "a task arrives for a waiting worker": latency,
        "memory over a million finished tasks": memory,
        "strict mode, one enqueue after the other": asyncio.run(_strict()),
    }


def _row(
    name: str, count: int, enqueue_s: float, work_s: float, cpu_s: tuple[float, float] | None
) -> dict[str, object]:
    return {
        "system": name,
        "tasks": count,
        "enqueued_per_s": round(count / enqueue_s),
        "done_per_s": round(count / work_s),
        "end_to_end_per_s": round(count / (enqueue_s + work_s)),
        "service_cpu_us": "" if cpu_s is None else round(cpu_s[0] / count * 1e6),
        "store_cpu_us": "" if cpu_s is None else round(cpu_s[1] / count * 1e6),
    }


async def _measured(
    name: str,
    store: RunningStore,
    service: Running,
    produce: Callable[[], Awaitable[None]],
    work: Callable[[], Awaitable[None]],
) -> dict[str, object]:
    before = (service.cpu_s(), store.cpu_s())
    started_s = time.perf_counter()
    await produce()
    enqueued_s = time.perf_counter()
    await work()
    done_s = time.perf_counter()
    cpu_s = (service.cpu_s() - before[0], store.cpu_s() - before[1])
    left = json.loads(await (await Connection(service.port).open()).request("GET", "/stats"))
    if left["completed"] != COUNT or left["pending"] or left["processing"]:
        raise RuntimeError(f"not all tasks were done: {left}")
    return _row(name, COUNT, enqueued_s - started_s, done_s - enqueued_s, cpu_s)


async def _one_by_one(store: RunningStore, service: Running) -> dict[str, object]:
    store.client().flushall()
    clients = await connections(service.port, CLIENTS)
    body = json.dumps({"type": "noop", "payload": {"n": 1}}).encode()

    async def produce() -> None:
        async def some(client: Connection) -> None:
            for _ in range(COUNT // CLIENTS):
                await client.request("POST", "/task", body)

        await asyncio.gather(*(some(client) for client in clients))

    async def work() -> None:
        async def some(client: Connection) -> None:
            while task := await client.call("GET", "/dequeue"):
                token = {"leaseToken": task["leaseToken"], "result": 1}
                await client.call("POST", f"/complete/{task['id']}", token)

        await asyncio.gather(*(some(client) for client in clients))

    row = await _measured(f"stanchion, one by one over HTTP, {CLIENTS} clients", store, service, produce, work)
    for client in clients:
        client.close()
    return row


async def _in_batches(store: RunningStore, service: Running) -> dict[str, object]:
    store.client().flushall()
    clients = await connections(service.port, 4)
    body = json.dumps({"tasks": [{"type": "noop", "payload": {"n": n + 1}} for n in range(BATCH)]}).encode()

    async def produce() -> None:
        async def some(client: Connection) -> None:
            for _ in range(COUNT // BATCH // len(clients)):
                await client.request("POST", "/tasks", body)

        await asyncio.gather(*(some(client) for client in clients))

    async def work() -> None:
        async def some(client: Connection) -> None:
            while taken := await client.call("GET", f"/dequeue?count={BATCH}"):
                finished = [{"id": t["id"], "leaseToken": t["leaseToken"], "result": 1} for t in taken["tasks"]]
                await client.call("POST", "/complete", {"tasks": finished})

        await asyncio.gather(*(some(client) for client in clients))

    row = await _measured(f"stanchion, batches of {BATCH} over HTTP, 4 clients", store, service, produce, work)
    for client in clients:
        client.close()
    return row


_NOOP_HANDLERS = """
from app.worker import Handlers
work = Handlers()

@work.handles("noop")
async def noop(task):
    return 1
"""


def _with_own_worker(store: RunningStore, service: Running) -> dict[str, object]:
    """The worker that users run: `stanchion worker`, 100 tasks at once, which reports each task on its own."""
    store.client().flushall()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "noops.py").write_text(_NOOP_HANDLERS)

        async def produce() -> None:
            client = await Connection(service.port).open()
            tasks = [{"type": "noop", "payload": {"n": n + 1}} for n in range(BATCH)]
            for _ in range(COUNT // BATCH):
                await client.call("POST", "/tasks", {"tasks": tasks})
            client.close()

        async def work() -> None:
            command = [sys.executable, "-m", "app", "worker", "--handlers", "noops:work", "--concurrency", "100"]
            env = {"QUEUE_URL": service.url, "LOG_LEVEL": "error", "PYTHONPATH": str(Path.cwd())}
            worker = subprocess.Popen(command, cwd=folder, env=env)
            client = await Connection(service.port).open()
            try:
                while (await client.call("GET", "/stats"))["completed"] < COUNT:
                    if worker.poll() is not None:
                        raise RuntimeError(f"the worker has ended with status {worker.returncode}")
                    await asyncio.sleep(0.1)
            finally:
                client.close()
                worker.terminate()
                worker.wait(20)

        return asyncio.run(_measured("stanchion worker (start included)", store, service, produce, work))


def _competitors(store: RunningStore) -> list[dict[str, object]]:
    """Each in one environment of their own, for some of them do not go with this program's libraries."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="stanchion-bench-") as folder:
        python = Path(folder) / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        command = [str(python), "-m", "pip", "install", "--quiet", *PACKAGES]
        subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True)
        for name in COMPETITORS:
            store.client().flushall()
            before_s = store.cpu_s()
            script = Path(__file__).parent / "competitors" / f"{name}_noops.py"
            answer = subprocess.run(
                [python, script, store.url, str(COUNT)], check=True, capture_output=True, text=True, timeout=600
            )
            seconds = json.loads(answer.stdout.splitlines()[-1])
            row = _row(name, COUNT, seconds["enqueue_s"], seconds["work_s"], None)
            rows.append(row | {"store_cpu_us": round((store.cpu_s() - before_s) / COUNT * 1e6)})
    return rows


async def _latency(service: Running) -> dict[str, object]:
    """From when the producer begins to send until the waiting worker has the task in hand."""
    producer, worker = await connections(service.port, 2)
    body = json.dumps({"type": "noop", "payload": {"n": 1}}).encode()
    took_ms: list[float] = []
    for _ in range(LATENCY_SAMPLES):
        waiting = asyncio.ensure_future(worker.call("GET", "/dequeue?wait=20"))
        await asyncio.sleep(0.005)
        started_s = time.perf_counter()
        await producer.request("POST", "/task", body)
        task = await waiting
        took_ms.append((time.perf_counter() - started_s) * 1000)
        await worker.call("POST", f"/complete/{task['id']}", {"leaseToken": task["leaseToken"]})
    cuts = quantiles(took_ms, n=100)
    return {
        "samples": len(took_ms),
        "p50_ms": round(cuts[49], 2),
        "p99_ms": round(cuts[98], 2),
        "max_ms": round(max(took_ms), 2),
    }


def _noops(count: int) -> list[NewTask]:
    return [NewTask(new_task_id("default"), "noop", '{"n":1}', 1, 0, 0, 3, 0, "") for _ in range(count)]


async def _queues(stack: AsyncExitStack, url: str, **changes: Any) -> TaskQueues:
    metrics = Metrics()
    settings = Settings(redis_url=SecretStr(url), **changes)
    return TaskQueues(await open_store(stack, url, metrics), settings, metrics.tasks)


async def _memory(store: RunningStore) -> list[dict[str, object]]:
    """Straight on the store, 200 at a time, with the limits that are set by default."""
    rows: list[dict[str, object]] = []
    async with AsyncExitStack() as stack:
        queues = await _queues(stack, store.url)
        started_s = time.perf_counter()
        for done in range(0, MEMORY_TASKS + 1, MEMORY_BATCH):
            if done % (MEMORY_TASKS // 10) == 0:
                info = store.client().info("memory")
                rows.append(
                    {
                        "finished": done,
                        "store_mib": round(info["used_memory"] / 2**20, 1),
                        "keys": store.client().dbsize(),
                        "counted_as_completed": (await queues.stats("default")).stats.completed,
                        "seconds": round(time.perf_counter() - started_s, 1),
                    }
                )
            try:
                await queues.enqueue("default", _noops(MEMORY_BATCH))
                tasks = await queues.claim(Claim("default", (), 2 * MEMORY_BATCH, "w"))
                await queues.complete("default", [(task.id, task.token or "", "1") for task in tasks])
            except StoreUnavailable:  # a disk that stalls holds up the append-only file; what is left over is counted
                await asyncio.sleep(1)
    return rows


async def _strict() -> list[dict[str, object]]:
    """Each mode on a store of its own; where it takes a copy, with a replica of the store beside it."""
    rows = []
    modes: list[tuple[str, dict[str, Any], str, int]] = [
        ("off", {}, "everysec", 500),
        ("WAIT 1", {"task_strict_replicas": 1}, "everysec", 500),
        ("WAITAOF, appendfsync always", {"task_strict_fsync": True}, "always", 500),
        ("WAITAOF, appendfsync everysec", {"task_strict_fsync": True}, "everysec", 10),
    ]
    for name, changes, fsync, samples in modes:
        with ExitStack() as servers:
            store = servers.enter_context(store_server())
            store.client().config_set("appendfsync", fsync)
            copy = servers.enter_context(store_server())
            copy.client().replicaof("127.0.0.1", str(store.port))
            while store.client().info("replication").get("slave0", {}).get("state") != "online":
                await asyncio.sleep(0.05)
            async with AsyncExitStack() as stack:
                queues = await _queues(stack, store.url, **changes)
                await queues.enqueue("default", _noops(1))
                took_ms = []
                for _ in range(samples):
                    started_s = time.perf_counter()
                    await queues.enqueue("default", _noops(1))
                    took_ms.append((time.perf_counter() - started_s) * 1000)
            rows.append({"mode": name, "p50_ms": round(median(took_ms), 2), "max_ms": round(max(took_ms), 2)})
    return rows
