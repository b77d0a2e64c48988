"""Pushed updates: the room's state as server-sent events."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from app.clock import Clock, SystemClock
from app.rooms.settings import RoomSettings
from app.services import Services, open_services
from app.settings import Settings
from app.web.app import Application, create_app
from app.web.streams import LOOK_EVERY_S
from tests.conftest import make_settings
from tests.support.apps import settled, with_state
from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.waiting import eventually


class Reader:
    """A reader of one stream, by ASGI: what it was sent, and a buffer that the test can declare full."""

    def __init__(self, path: str = "/events") -> None:
        self.path = path
        self.status = 0
        self.headers: dict[str, str] = {}
        self.sent = b""
        self.ended = False
        self.room = asyncio.Event()
        self.room.set()
        self.gone = asyncio.Event()

    async def read(self, app: Any) -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": b"",
            "headers": [],
            "scheme": "http",
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 3000),
        }
        await app(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await self.room.wait()  # as uvicorn: wait for room first, then write the whole message
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        self.sent += message["body"]
        if not message.get("more_body", False):
            self.ended = True
            self.gone.set()

    @property
    def states(self) -> list[dict[str, Any]]:
        lines = self.sent.decode().splitlines()
        return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


class Crowd:
    """Readers that are open, and the application that they read."""

    def __init__(self, app: Any, tasks: asyncio.TaskGroup) -> None:
        self.app = app
        self.readers: list[Reader] = []
        self._tasks = tasks

    async def add(self, count: int = 1, path: str = "/events") -> Reader:
        readers = [Reader(path) for _ in range(count)]
        for reader in readers:
            self._tasks.create_task(reader.read(self.app))
        self.readers += readers
        await eventually(lambda: all(reader.status and (reader.sent or reader.ended) for reader in readers))
        return readers[0]


def settings_for(server: RealServer, **changes: Any) -> Settings:
    return make_settings(
        **{
            "redis_url": server.url,
            "rooms": "default,concert",
            "window_size": 2,
            "window_interval": 600,
            "refresh_interval": 0.02,
            **changes,
        }
    )


@asynccontextmanager
async def crowd_of(
    settings: Settings, clock: Clock | None = None
) -> AsyncIterator[tuple[Crowd, Services, httpx.AsyncClient]]:
    app: Application = create_app(lambda: open_services(settings, clock=clock))
    async with app.starlette.router.lifespan_context(app.starlette) as state:
        assert state is not None
        services: Services = state["services"]
        services.rooms._clock = SystemClock()  # the streams' second is the test's; the rooms are looked at all the time
        await eventually(lambda: settled(services))
        served = with_state(app, state)
        transport = httpx.ASGITransport(served)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client,
            asyncio.TaskGroup() as tasks,
        ):
            crowd = Crowd(served, tasks)
            yield crowd, services, client
            for reader in crowd.readers:
                reader.room.set()
                reader.gone.set()


@pytest.mark.parametrize(("path", "room"), [("/events", "default"), ("/rooms/concert/events", "concert")])
async def test_a_stream_starts_with_the_rooms_present_state(server: RealServer, path: str, room: str) -> None:
    async with crowd_of(settings_for(server)) as (crowd, _, client):
        reader = await crowd.add(path=path)
        assert (reader.status, reader.headers["content-type"]) == (200, "text/event-stream")
        assert reader.headers["cache-control"] == "no-store"
        (state,) = reader.states
        serving = (await client.get(path.replace("events", "serving"))).json()
        assert state["room"] == room
        assert {name: state[name] for name in ("epoch", "serving", "paused")} == {
            name: serving[name] for name in ("epoch", "serving", "paused")
        }


async def test_a_change_reaches_every_stream_of_the_room_and_no_other(server: RealServer) -> None:
    async with crowd_of(settings_for(server)) as (crowd, services, _):
        await crowd.add(500)
        other = await crowd.add(path="/rooms/concert/events")
        await services.operator.control("default", "pause", "test")
        here = [reader for reader in crowd.readers if reader is not other]
        await eventually(lambda: all(reader.states[-1]["paused"] for reader in here))
        assert [len(reader.states) for reader in here] == [2] * 500
        assert len(other.states) == 1


async def test_joins_alone_push_nothing(server: RealServer) -> None:
    async with crowd_of(settings_for(server)) as (crowd, services, client):
        reader = await crowd.add()
        for _ in range(3):
            await client.post("/join")
        await eventually(lambda: services.rooms.get("default").snapshot.last == 3)  # type: ignore[union-attr]
        await services.operator.control("default", "pause", "test")
        await eventually(lambda: len(reader.states) == 2)
        assert (reader.states[-1]["last"], reader.states[-1]["paused"]) == (3, True)


class HandClock(SystemClock):
    """A clock whose seconds pass when the test says so."""

    def __init__(self) -> None:
        self.passed_s = super().monotonic_s()

    def monotonic_s(self) -> float:
        return self.passed_s


async def test_changes_in_quick_succession_are_pushed_once_a_second_at_most(server: RealServer) -> None:
    clock = HandClock()
    async with crowd_of(settings_for(server), clock) as (crowd, services, _):
        reader = await crowd.add()
        for verb, is_paused in (("pause", True), ("resume", False), ("pause", True)):
            await services.operator.control("default", verb, "test")
            await eventually(lambda is_paused=is_paused: services.rooms.get("default").snapshot.paused is is_paused)  # type: ignore[misc, union-attr]
        await eventually(lambda: len(reader.states) == 2)
        await services.operator.control("default", "close", "test")
        await eventually(lambda: services.rooms.get("default").snapshot.closed)  # type: ignore[union-attr]
        clock.passed_s += 0.9
        await asyncio.sleep(3 * LOOK_EVERY_S)
        assert len(reader.states) == 2
        clock.passed_s += 0.2
        await eventually(lambda: len(reader.states) == 3)
        assert (reader.states[-1]["paused"], reader.states[-1]["closed"]) == (True, True)


async def test_a_reader_who_cannot_keep_up_holds_up_nobody_and_gets_the_newest_state(server: RealServer) -> None:
    async with crowd_of(settings_for(server)) as (crowd, services, _):
        slow = await crowd.add()
        quick = await crowd.add()
        slow.room.clear()
        for number, verb in enumerate(("pause", "close"), 2):
            await services.operator.control("default", verb, "test")
            await eventually(lambda number=number: len(quick.states) == number)  # type: ignore[misc]
        assert len(slow.states) == 1
        slow.room.set()
        await eventually(lambda: slow.states[-1]["closed"])
        assert len(slow.states) == 2


async def test_a_silent_stream_is_kept_open_by_a_comment(server: RealServer) -> None:
    async with crowd_of(settings_for(server, stream_keep_alive=1)) as (crowd, _, __):
        reader = await crowd.add()
        await eventually(lambda: reader.sent.endswith(b"\n\n:\n\n"))
        assert len(reader.states) == 1


async def test_streams_beyond_the_limit_are_refused_and_a_place_becomes_free_again(server: RealServer) -> None:
    async with crowd_of(settings_for(server, max_streams=2)) as (crowd, services, _):
        first = await crowd.add(2)
        refused = await crowd.add()
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) > 0
        assert b"too-busy" in refused.sent
        first.gone.set()
        await eventually(lambda: b"stanchion_streams_open 1.0" in services.metrics.exposition())
        assert (await crowd.add()).status == 200


async def test_streams_end_when_the_replica_drains_and_new_ones_are_refused(server: RealServer) -> None:
    async with crowd_of(settings_for(server)) as (crowd, services, _):
        await crowd.add(50)
        services.draining = True
        await eventually(lambda: all(reader.ended for reader in crowd.readers))
        assert (await crowd.add()).status == 503


async def test_streams_end_with_their_room_and_those_of_a_later_one_of_its_name_are_told_its_news(
    server: RealServer,
) -> None:
    async with crowd_of(settings_for(server)) as (crowd, services, _):
        await services.operator.create("sale", RoomSettings(), "test")
        old = await crowd.add(path="/rooms/sale/events")
        old.room.clear()  # so slow that its stream is still there when the next room is
        await services.operator.delete("sale", "test")
        await services.operator.create("sale", RoomSettings(), "test")
        new = await crowd.add(path="/rooms/sale/events")
        await services.operator.control("sale", "pause", "test")
        await eventually(lambda: new.states[-1]["paused"])
        old.room.set()
        await eventually(lambda: old.ended)
        assert [state["epoch"] for state in old.states] == [1]


async def test_an_unknown_rooms_events_are_not_found(server: RealServer) -> None:
    async with crowd_of(settings_for(server)) as (_, __, client):
        assert (await client.get("/rooms/nowhere/events")).status_code == 404


def test_a_real_replicas_streams_carry_the_edge_and_end_when_it_stops(
    server: RealServer, start_replica: Callable[..., Replica]
) -> None:
    replica = start_replica(server.url, WINDOW_SIZE="1", WINDOW_INTERVAL="0.5", STOP_SECONDS="30")
    with httpx.Client(base_url=replica.url, timeout=30) as client, client.stream("GET", "/events") as stream:
        for _ in range(8):
            client.post("/join")
        served = []
        for line in stream.iter_lines():
            if line.startswith("data: "):
                served.append(json.loads(line.removeprefix("data: "))["serving"])
            if len(served) == 3:
                replica.signal(signal.SIGTERM)
        assert served == sorted(served)
        assert served[-1] > served[0]
    replica.wait(within_s=20)
