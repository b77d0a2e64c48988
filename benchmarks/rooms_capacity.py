"""Rooms with limits: what joins and entries cost the store, what a session leaves in its memory, and how many
rooms one replica's scheduler holds within its tick."""

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from statistics import median
from typing import Any

from app.clock import SystemClock
from app.errors import StoreUnavailable
from app.metrics import Metrics
from app.rooms.rooms import Rooms
from app.rooms.settings import RoomSettings
from app.store import Store
from app.store.store import open_store
from benchmarks.processes import RunningStore, store_server

SESSIONS = 20_000
AT_ONCE = 50
ROOMS = 1000
LOOKS = 12
REFRESH_S = 0.25
TARGET_BYTES = 300


def run() -> dict[str, object]:
    """Measure; about half a minute."""
    with store_server() as server:
        sessions = asyncio.run(_sessions(server))
    with store_server() as server:
        rooms = asyncio.run(_many_rooms(server))
    return {
        "per_request": sessions["rows"],
        "bytes_per_session": sessions["bytes"],
        "many_rooms": rooms,
        "targets": {
            f"at most {TARGET_BYTES} bytes per session": sessions["bytes"] <= TARGET_BYTES,
            f"{ROOMS} rooms within {round(REFRESH_S * 1000)} ms": rooms["refresh_ms_median"] < REFRESH_S * 1000,
        },
        "set_up": f"{SESSIONS} sessions, {AT_ONCE} requests at once; {ROOMS} rooms with a cap, a rate and a line, leader",
    }


async def _sessions(server: RunningStore) -> dict[str, Any]:
    """Fill a room to its cap through the domain's own calls, and look at the server's clock and memory."""
    settings = RoomSettings.model_validate({"maxActive": 10 * SESSIONS, "claimSeconds": 3600, "sessionSeconds": 3600})
    async with AsyncExitStack() as stack:
        store = await open_store(stack, server.url, Metrics())
        rooms, client = await _opened(stack, server, store, {"default": settings})
        room = rooms.get("default")
        sessions = room.sessions
        for i in range(0, 2000, AT_ONCE):  # connections, buffers, scripts
            await asyncio.gather(*(room.join(f"warm-{i + n}") for n in range(AT_ONCE)))
        client.config_resetstat()
        before = client.info("memory")["used_memory"]
        started_s, cpu_s, places = time.perf_counter(), server.cpu_s(), []
        for i in range(0, SESSIONS, AT_ONCE):
            places += await asyncio.gather(*(room.join(f"ticket-{i + n}") for n in range(AT_ONCE)))
        joined = _row("join, capacity to spare", SESSIONS, started_s, server.cpu_s() - cpu_s)
        started_s, cpu_s = time.perf_counter(), server.cpu_s()
        for i in range(0, SESSIONS, AT_ONCE):
            some = places[i : i + AT_ONCE]
            await asyncio.gather(*(sessions.enter(p.epoch, p.position, p.active_until_run_ms) for p in some))
        entered = _row("enter", SESSIONS, started_s, server.cpu_s() - cpu_s)
        while any("op:" in key for key in client.scan_iter(count=1000)):  # joins' answers go after ten seconds
            await asyncio.sleep(0.5)
        client.memory_purge()
        used = client.info("memory")["used_memory"] - before
        started_s, cpu_s = time.perf_counter(), server.cpu_s()
        for i in range(0, SESSIONS, AT_ONCE):
            await asyncio.gather(*(sessions.leave(p.epoch, p.position) for p in places[i : i + AT_ONCE]))
        left = _row("leave", SESSIONS, started_s, server.cpu_s() - cpu_s)
        return {"rows": [joined, entered, left], "bytes": round(used / SESSIONS)}


async def _many_rooms(server: RunningStore) -> dict[str, Any]:
    """One leader's refresh with many rooms that all have something to do."""
    settings = RoomSettings.model_validate({"maxActive": 5, "ratePerMinute": 60, "claimSeconds": 3})
    async with AsyncExitStack() as stack:
        store = await open_store(stack, server.url, Metrics())
        rooms, _ = await _opened(stack, server, store, {f"room-{i}": settings for i in range(ROOMS)})
        for i in range(0, ROOMS, AT_ONCE):
            some = rooms.all()[i : i + AT_ONCE]
            await asyncio.gather(*(room.join(f"{room.name}-{n}") for room in some for n in range(20)))
        took_ms, cpu_s, own_cpu_s = [], server.cpu_s(), time.process_time()
        for _ in range(LOOKS):
            started_s = time.perf_counter()
            await rooms.refresh(leading=True, replica_id="bench", live_replicas=1)
            took_ms.append((time.perf_counter() - started_s) * 1000)
            await asyncio.sleep(max(0.0, REFRESH_S - took_ms[-1] / 1000))
        return {
            "rooms": ROOMS,
            "refresh_ms_median": round(median(took_ms), 1),
            "refresh_ms_worst": round(max(took_ms), 1),
            "replica_cpu_ms_per_refresh": round((time.process_time() - own_cpu_s) * 1000 / LOOKS, 1),
            "store_cpu_ms_per_refresh": round((server.cpu_s() - cpu_s) * 1000 / LOOKS, 1),
        }


async def _opened(
    stack: AsyncExitStack, server: RunningStore, store: Store, declared: dict[str, RoomSettings]
) -> tuple[Rooms, Any]:
    """The rooms, healed and with a snapshot each."""
    rooms = Rooms(declared, store, SystemClock(), REFRESH_S)
    client = stack.enter_context(server.client())
    while not rooms.ready or any(room.snapshot.healing for room in rooms.all() if room.snapshot):
        with suppress(StoreUnavailable):  # a busy machine may be slow to make a thousand rooms
            await rooms.refresh(leading=True, replica_id="bench", live_replicas=1)
        await asyncio.sleep(REFRESH_S)
    return rooms, client


def _row(name: str, count: int, started_s: float, store_cpu_s: float) -> dict[str, object]:
    took_s = time.perf_counter() - started_s
    return {"request": name, "per_second": round(count / took_s), "store_cpu_us": round(store_cpu_s / count * 1e6, 1)}
