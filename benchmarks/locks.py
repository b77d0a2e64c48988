"""The ID locks through HTTP: how soon the next waiter has the lock, beside redis-py's own Lock on the same server.

The ideal is the work itself: the largest sum of the holds of one id, as measured inside them.
"""

import asyncio
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.lock import Lock

from benchmarks.processes import Running, RunningStore, replica, store_server

WAITERS = 400
HOLD_MS = 2
HEAVY_REQUESTS, HEAVY_AT_ONCE, HEAVY_IDS, HEAVY_WORK_MS = 1000, 100, 5, 20
REFUSALS = 1000


@dataclass(frozen=True)
class Served:
    """One request that got the lock: when its answer came, and what it says."""

    at_s: float
    lock_id: str
    fence: int
    worked_s: float


class Caller:
    """One keep-alive connection. A plain one: a fuller HTTP client would cost more than what is measured."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> "Caller":
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, method: str, path: str, body: object = None, token: str = "") -> tuple[int, Any]:
        """Status and decoded body."""
        content = b"" if body is None else json.dumps(body).encode()
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            f"x-lock-token: {token}\r\ncontent-length: {len(content)}\r\n\r\n".encode()
            + content
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        answer = await self._reader.readexactly(int(length or 0))
        return int(head[9:12]), json.loads(answer) if answer else None


def run() -> dict[str, object]:
    """All figures of the locks."""
    with store_server() as store:
        handovers = [_handover(store, 1), _handover(store, 3), asyncio.run(_redis_lock(store))]
        polling_s = handovers[-1]["total_s"]
        for row in handovers:
            row["of_redis_py_lock"] = round(row["total_s"] / polling_s, 3)
        return {
            f"{WAITERS}_waiters_on_one_id_{HOLD_MS}_ms_holds": handovers,
            f"heavy_profile_{HEAVY_WORK_MS}_ms_work": [_heavy(store, 1), _heavy(store, 3)],
            "refusals_at_lock": _refusals(store),
        }


@contextmanager
def _replicas(store: RunningStore, count: int, work_ms: int) -> Iterator[list[Running]]:
    with ExitStack() as stack:
        env = {"OPEN_ROUTES": "locks", "PROCESSING_TIME_MS": str(work_ms)}
        yield [stack.enter_context(replica(store, **env)) for _ in range(count)]


def _handover(store: RunningStore, count: int) -> dict[str, Any]:
    with _replicas(store, count, HOLD_MS) as replicas:
        asyncio.run(_line([item.port for item in replicas], 50))  # warm
        started_s, served = asyncio.run(_line([item.port for item in replicas], WAITERS))
    ends = sorted((item.fence, item.at_s, item.worked_s) for item in served)
    gaps = [later_s - earlier_s - worked_s for (_, earlier_s, _), (_, later_s, worked_s) in pairwise(ends)]
    total_s = max(item.at_s for item in served) - started_s
    ideal_s = sum(item.worked_s for item in served)
    return _row(f"Stanchion, {count} replica{'s' if count > 1 else ''}", gaps, total_s, ideal_s)


async def _line(ports: Sequence[int], waiters: int) -> tuple[float, list[Served]]:
    """Let so many stand in line for a lock that is held, release it, and note every answer."""
    async with Caller(ports[0]) as caller:
        _, held = await caller.ask("POST", "/locks/bench", {"leaseMs": 60_000})

        async def wait(number: int) -> Served:
            async with Caller(ports[number % len(ports)]) as caller:
                return await _serve(caller, "bench")

        tasks = [asyncio.create_task(wait(number)) for number in range(waiters)]
        while (await caller.ask("GET", "/locks/bench"))[1]["waiters"] < waiters:
            await asyncio.sleep(0.02)
        started_s = time.perf_counter()
        await caller.ask("DELETE", "/locks/bench", token=held["token"])
        return started_s, list(await asyncio.gather(*tasks))


async def _serve(caller: Caller, lock_id: str) -> Served:
    status, answer = await caller.ask("GET", f"/request/{lock_id}")
    if status != 200:
        raise RuntimeError(f"{status}: {answer}")
    return Served(time.perf_counter(), lock_id, answer["fence"], answer["workedMs"] / 1000)


async def _redis_lock(store: RunningStore) -> dict[str, Any]:
    """The same with redis-py's Lock as it comes: it polls."""
    pool = BlockingConnectionPool.from_url(store.url, max_connections=64, timeout=60)
    client = Redis.from_pool(pool)
    holds: list[tuple[float, float]] = []

    async def use() -> None:
        async with Lock(client, "bench:redis-py", timeout=60):
            began_s = time.perf_counter()
            await asyncio.sleep(HOLD_MS / 1000)
            holds.append((began_s, time.perf_counter()))

    first = Lock(client, "bench:redis-py", timeout=60)
    await first.acquire()
    tasks = [asyncio.create_task(use()) for _ in range(WAITERS)]
    await asyncio.sleep(0.5)
    started_s = time.perf_counter()
    await first.release()
    await asyncio.gather(*tasks)
    total_s = time.perf_counter() - started_s
    await client.aclose()
    await pool.aclose()
    gaps = [later_began_s - ended_s for (_, ended_s), (later_began_s, _) in pairwise(sorted(holds))]
    return _row("redis-py's Lock", gaps, total_s, sum(ended_s - began_s for began_s, ended_s in holds))


def _row(who: str, gaps: list[float], total_s: float, ideal_s: float) -> dict[str, Any]:
    ranked = sorted(gaps)
    return {
        "who": who,
        "gap_p50_ms": round(ranked[len(ranked) // 2] * 1000, 2),
        "gap_p99_ms": round(ranked[int(len(ranked) * 0.99)] * 1000, 2),
        "total_s": round(total_s, 2),
        "ideal_s": round(ideal_s, 2),
        "of_ideal": round(total_s / ideal_s, 2),
    }


def _heavy(store: RunningStore, count: int) -> dict[str, Any]:
    with _replicas(store, count, HEAVY_WORK_MS) as replicas:
        started_s, served = asyncio.run(_storm([item.port for item in replicas]))
    busy_s: dict[str, float] = defaultdict(float)
    for item in served:
        busy_s[item.lock_id] += item.worked_s
    total_s = max(item.at_s for item in served) - started_s
    ideal_s = max(busy_s.values())
    return {
        "replicas": count,
        "total_s": round(total_s, 2),
        "ideal_s": round(ideal_s, 2),
        "of_ideal": round(total_s / ideal_s, 3),
    }


async def _storm(ports: Sequence[int]) -> tuple[float, list[Served]]:
    left = iter(range(HEAVY_REQUESTS))
    dice = random.Random(1)

    async def one_after_another(number: int) -> list[Served]:
        async with Caller(ports[number % len(ports)]) as caller:
            return [await _serve(caller, f"heavy-{dice.randint(1, HEAVY_IDS)}") for _ in left]

    started_s = time.perf_counter()
    served = await asyncio.gather(*(one_after_another(number) for number in range(HEAVY_AT_ONCE)))
    return started_s, [item for items in served for item in items]


def _refusals(store: RunningStore) -> dict[str, object]:
    with _replicas(store, 1, HOLD_MS) as (only,), store.client() as client:
        took_s, calls = asyncio.run(_refused(only.port, client))
    ranked = sorted(took_s)
    return {
        "round_trips_each": calls / REFUSALS,
        "p50_ms": round(ranked[len(ranked) // 2] * 1000, 2),
        "p99_ms": round(ranked[int(len(ranked) * 0.99)] * 1000, 2),
    }


async def _refused(port: int, client: Any) -> tuple[list[float], int]:
    """How long refusals took one after the other, and how many scripts with the name of theirs the server ran."""
    async with Caller(port) as caller:
        await caller.ask("POST", "/locks/refused", {"leaseMs": 600_000})
        await caller.ask("GET", "/lock?id=refused")
        # The room's housekeeping runs scripts of its own: count one quiet second of it, to take it off.
        client.config_resetstat()
        await asyncio.sleep(1)
        quiet = _scripts_run(client)
        client.config_resetstat()
        started_s = time.perf_counter()
        took_s = []
        for _ in range(REFUSALS):
            sent_s = time.perf_counter()
            status, _ = await caller.ask("GET", "/lock?id=refused")
            took_s.append(time.perf_counter() - sent_s)
            if status != 423:
                raise RuntimeError(f"not refused: {status}")
        own = quiet * (time.perf_counter() - started_s)
        return took_s, round((_scripts_run(client) - own) / REFUSALS) * REFUSALS


def _scripts_run(client: Any) -> int:
    stats = client.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "eval"))


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
