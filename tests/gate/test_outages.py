"""The gate of a real replica while its store is killed, frozen, away from the start, and back."""

import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.web.gate.room_gate import LOST_AFTER_MS
from tests.gate.conftest import BROWSER, PROGRAM
from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.waiting import SLACK_S, eventually

Start = Callable[..., Replica]
ROOMS = """
rooms:
  default: {windowSize: 100, gate: {inline: false}}
  free: {windowSize: 100, gate: {inline: false, whenStoreIsLost: open}}
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "rooms.yaml"
    file.write_text(ROOMS)
    return {"ROOMS_FILE": str(file), "TRUSTED_PROXIES": "127.0.0.1", "PASS_KEY_LEAD": "4"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=10) as client:
        yield client


class Asked:
    """The gate of one room of a replica, as a proxy asks it."""

    def __init__(self, client: httpx.AsyncClient, replica: Replica, room: str) -> None:
        self._client = client
        self._url = f"{replica.url}/gate/{room}"
        self._room_url = f"{replica.url}/rooms/{room}"

    async def __call__(self, headers: dict[str, str], mode: str = "") -> httpx.Response:
        told = {"X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/checkout", **headers}
        return await self._client.get(self._url, params={"mode": mode} if mode else {}, headers=told)

    async def enter(self) -> dict[str, str]:
        """A visitor's headers with a live pass."""
        ticket = (await self._client.post(f"{self._room_url}/join")).json()["token"]
        bearer = {"Authorization": f"Bearer {ticket}"}
        session: dict[str, Any] = (await self._client.post(f"{self._room_url}/enter", headers=bearer)).json()
        return {**PROGRAM, "X-Waiting-Room-Pass": session["pass"]}

    async def answers(self, status: int, headers: dict[str, str]) -> bool:
        """Whether this is what comes now."""
        return (await self(headers)).status_code == status


async def test_closed_holds_newcomers_and_passes_go_on_while_the_store_is_killed(
    own_server: RealServer, start_replica: Start, env: dict[str, str], client: httpx.AsyncClient
) -> None:
    gate = Asked(client, start_replica(own_server.url, **env), "default")
    inside = await gate.enter()
    own_server.kill()
    await eventually(lambda: gate.answers(503, PROGRAM), within_s=3 + SLACK_S)
    held = await gate(PROGRAM)
    assert held.json()["type"] == "urn:stanchion:problem:store-unavailable"
    assert int(held.headers["retry-after"]) >= 1
    led = await gate(BROWSER)
    assert (led.status_code, led.headers["location"]) == (302, "/rooms/default?target=%2Fcheckout")
    assert (await gate(BROWSER, mode="status")).status_code == 401
    assert (await gate(PROGRAM, mode="refuse")).status_code == 503
    assert (await gate(inside)).headers["x-waiting-room"] == "pass"
    own_server.start()
    await eventually(lambda: gate.answers(429, PROGRAM), within_s=15)
    assert (await gate(inside)).status_code == 200
    newcomer = await eventually(gate.enter, within_s=15)
    assert (await gate(newcomer)).status_code == 200


async def test_open_lets_newcomers_through_only_once_the_store_is_truly_lost(
    own_server: RealServer, start_replica: Start, env: dict[str, str], client: httpx.AsyncClient
) -> None:
    replica = start_replica(own_server.url, **env)
    gate = Asked(client, replica, "free")
    assert await gate.answers(429, PROGRAM)
    own_server.kill()
    killed_s = time.monotonic()
    at_first = await gate.answers(429, PROGRAM)
    assert at_first or time.monotonic() - killed_s > 2, "one missed look opens nothing"
    await eventually(lambda: gate.answers(200, PROGRAM), within_s=3 + SLACK_S)
    last_look_ms = (await client.get(f"{replica.url}/rooms/free/serving")).json()["updatedAt"]
    assert time.time() * 1000 - last_look_ms > LOST_AFTER_MS
    assert (await gate(BROWSER)).headers["x-waiting-room"] == "open"
    assert (await gate(BROWSER, mode="refuse")).status_code == 302, "refuse never lets anybody through"
    own_server.start()
    await eventually(lambda: gate.answers(429, PROGRAM), within_s=15)


async def test_a_frozen_store_keeps_no_check_waiting(
    own_server: RealServer, start_replica: Start, env: dict[str, str], client: httpx.AsyncClient
) -> None:
    replica = start_replica(own_server.url, **env)
    gate, free = Asked(client, replica, "default"), Asked(client, replica, "free")
    inside = await gate.enter()
    own_server.freeze()
    try:
        started_s = time.monotonic()
        for _ in range(20):
            assert (await gate(inside)).status_code == 200
            assert (await gate(BROWSER)).status_code == 302
        assert time.monotonic() - started_s < 3 + SLACK_S
        await eventually(lambda: free.answers(200, BROWSER), within_s=5 + SLACK_S)
        await eventually(lambda: gate.answers(503, PROGRAM), within_s=5 + SLACK_S)
        assert (await gate(inside)).status_code == 200
    finally:
        own_server.thaw()
    await eventually(lambda: free.answers(302, BROWSER), within_s=15)


async def test_a_replica_that_starts_without_its_store_keeps_to_what_is_declared(
    own_server: RealServer, start_replica: Start, env: dict[str, str], client: httpx.AsyncClient
) -> None:
    own_server.kill()
    replica = start_replica(own_server.url, wait=False, **env)
    closed, free = Asked(client, replica, "default"), Asked(client, replica, "free")

    await eventually(lambda: closed.answers(503, PROGRAM), within_s=30)
    assert (await free(PROGRAM)).headers["x-waiting-room"] == "open"
    rubbish = {**PROGRAM, "X-Waiting-Room-Pass": "a.b.c"}
    assert (await closed(rubbish)).status_code == 503
    own_server.start()
    for gate in (closed, free):  # each room is looked at anew on its own
        await eventually(partial(gate.answers, 429, PROGRAM), within_s=15)


async def test_an_ended_visit_stays_ended_while_the_store_is_away(
    own_server: RealServer, start_replica: Start, env: dict[str, str], client: httpx.AsyncClient
) -> None:
    one, other = (start_replica(own_server.url, **env) for _ in range(2))
    here, there = Asked(client, one, "default"), Asked(client, other, "default")
    staying, leaving = await here.enter(), await here.enter()
    assert await there.answers(200, leaving)
    left = await client.post(
        f"{one.url}/rooms/default/leave", headers={"X-Waiting-Room-Pass": leaving["X-Waiting-Room-Pass"]}
    )
    assert left.status_code == 204
    await eventually(lambda: there.answers(429, leaving), within_s=1 + SLACK_S)
    own_server.kill()
    for gate in (here, there):  # each replica finds out by a look of its own
        await eventually(partial(gate.answers, 503, PROGRAM), within_s=3 + SLACK_S)
        assert await gate.answers(503, leaving)
        assert await gate.answers(200, staying)
