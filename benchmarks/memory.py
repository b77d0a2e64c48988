"""What a million joins in one room leave in the store's memory, and in a replica's."""

import asyncio
import resource
import time
from contextlib import AsyncExitStack
from typing import Any

from app.clock import SystemClock
from app.metrics import Metrics
from app.rooms.gatherer import MAX_BATCH
from app.rooms.rooms import Rooms
from app.rooms.settings import RoomSettings
from app.store import Store
from app.store.store import open_store
from benchmarks.processes import RunningStore, store_server

JOINS = 1_000_000
KEYED_JOINS = 20_000
REFRESH_S = 0.25


def run() -> dict[str, object]:
    """Measure; about a minute."""
    with store_server() as store:
        return asyncio.run(_measure(store))


async def _measure(server: RunningStore) -> dict[str, object]:
    declared = {name: RoomSettings.model_validate({}) for name in ("default", "keyed")}
    async with AsyncExitStack() as stack:
        store: Store = await open_store(stack, server.url, Metrics())
        rooms = Rooms(declared, store, SystemClock(), REFRESH_S)
        looking = asyncio.create_task(_keep_looking(rooms))
        stack.callback(looking.cancel)
        client = stack.enter_context(server.client())
        while not rooms.ready or rooms.get("default").snapshot.healing:  # type: ignore[union-attr]  # ready: both are seen
            await asyncio.sleep(0.05)
        await _join(rooms, "default", 10 * MAX_BATCH)  # scripts loaded, connections and buffers made
        before = _settled_memory(client)
        started_s = time.perf_counter()
        await _join(rooms, "default", JOINS)
        took_s = time.perf_counter() - started_s
        at_once = client.info("memory")["used_memory"]
        after = _settled_memory(client)
        await _join(rooms, "keyed", KEYED_JOINS, keyed=True)
        keyed = _settled_memory(client)
        return {
            "joins": JOINS,
            "seconds": round(took_s, 1),
            "store_bytes_before": before,
            "store_bytes_right_after": at_once,
            "store_bytes_after": after,
            "growth_bytes_per_join": round((after - before) / JOINS, 4),
            "bytes_per_join_with_an_idempotency_key": round((keyed - after) / KEYED_JOINS),
            "keys_left": client.dbsize() - KEYED_JOINS,
            "this_process_peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "targets": [
                {
                    "target": "store memory for a million joins, KiB of growth",
                    "at_most": 64,
                    "found": round((after - before) / 1024, 1),
                    "reached": after - before <= 64 * 1024,
                }
            ],
        }


async def _keep_looking(rooms: Rooms) -> None:
    while True:
        await rooms.refresh(leading=True, replica_id="bench", live_replicas=1)
        await asyncio.sleep(REFRESH_S)


async def _join(rooms: Rooms, name: str, count: int, *, keyed: bool = False) -> None:
    room = rooms.get(name)
    for start in range(0, count, MAX_BATCH):
        await asyncio.gather(
            *(room.join(f"ticket-{i:010}", f"key-{i}" if keyed else None) for i in range(start, start + MAX_BATCH))
        )


def _settled_memory(client: Any) -> int:
    """Memory in use once every batch's operation key, kept ten seconds for its retry, is gone."""
    deadline_s = time.monotonic() + 30
    while next(client.scan_iter("stanchion:*:op:*", count=10_000), None) is not None:
        if time.monotonic() > deadline_s:
            raise RuntimeError("operation keys are still there after 30 seconds")
        time.sleep(0.2)
    used: int = client.info("memory")["used_memory"]
    return used
