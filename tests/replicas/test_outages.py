"""The store away, and the store forgetful: real servers stopped, frozen, wiped and set back."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.replicas.modes import make_room
from tests.support.crowd import given_twice, join_many, status_of
from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.waiting import SLACK_S, eventually

Start = Callable[..., Replica]
WINDOW = {"WINDOW_SIZE": "20", "WINDOW_INTERVAL": "1", "ACTIVE_WINDOW_COUNT": "600"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=10, limits=httpx.Limits(max_connections=60)) as client:
        yield client


@pytest.fixture
def three(own_server: RealServer, start_replica: Start) -> list[Replica]:
    replicas = [start_replica(own_server.url, wait=False, **WINDOW) for _ in range(3)]
    for replica in replicas:
        replica.wait_until_ready()
    return replicas


async def test_status_answers_from_memory_and_joins_are_refused_while_the_store_is_away(
    own_server: RealServer, three: list[Replica], client: httpx.AsyncClient
) -> None:
    tickets = await join_many(client, three, 60)
    own_server.kill()

    async def stale() -> dict[str, Any] | None:
        told = await status_of(client, three[0], tickets[-1])
        return told if told["stale"] else None

    assert (await eventually(stale))["position"] == tickets[-1]["position"]
    started_s = time.monotonic()
    refused = await client.post(f"{three[0].url}/join")
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert time.monotonic() - started_s < 1 + SLACK_S, "refused within a second (and some for a busy machine)"
    assert (await client.get(f"{three[0].url}/readyz")).status_code == 200, "it can still answer /status"
    assert (await client.get(f"{three[0].url}/readyz?strict")).status_code == 503
    own_server.start()
    back = await eventually(lambda: join_many(client, three, 1), within_s=15)
    assert not given_twice([*tickets, *back])
    assert back[0]["position"] > max(ticket["position"] for ticket in tickets)


async def test_a_frozen_store_delays_nobody_for_longer_than_a_stopped_one(
    own_server: RealServer, three: list[Replica], client: httpx.AsyncClient
) -> None:
    ticket = (await join_many(client, three, 1))[0]
    own_server.freeze()
    try:
        started_s = time.monotonic()
        refused = await client.post(f"{three[0].url}/join")
        assert refused.status_code == 503
        assert time.monotonic() - started_s < 1 + SLACK_S
        assert (await status_of(client, three[1], ticket))["position"] == ticket["position"]
    finally:
        own_server.thaw()
    after = await eventually(lambda: join_many(client, three, 3), within_s=15)
    assert not given_twice([ticket, *after])


async def test_who_asks_to_enter_in_time_gets_in_though_the_store_could_not_answer_in_time(
    own_server: RealServer, start_replica: Start, client: httpx.AsyncClient
) -> None:
    replica = start_replica(own_server.url, ADMIN_TOKEN="admin-token-for-tests")
    await make_room(client, [replica], "shop", {"maxActive": 1, "claimSeconds": 20})
    shop = f"{replica.url}/rooms/shop"
    first, on_turn = [(await client.post(f"{shop}/join")).json() for _ in range(2)]
    await client.post(f"{shop}/leave", headers={"Authorization": f"Bearer {first['token']}"})
    bearer = {"Authorization": f"Bearer {on_turn['token']}"}
    assert (await client.get(f"{shop}/status", headers=bearer)).json()["status"] in ("waiting", "active")
    with own_server.client() as redis:  # the turn is nearly over
        run_ms = int(redis.hget("stanchion:{room:shop}:state", "run_ms"))
        assert redis.zadd("stanchion:{room:shop}:turns", {on_turn["position"]: run_ms + 600}, xx=True, ch=True) == 1
    own_server.freeze()
    try:
        refused = await client.post(f"{shop}/enter", headers=bearer)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        await asyncio.sleep(0.7)  # the turn is over, and the store is not away for so long that it would not count
    finally:
        own_server.thaw()
    entered = await eventually(lambda: _answered(client, f"{shop}/enter", bearer))
    assert entered.status_code == 200, entered.text


async def test_an_outage_costs_nobody_their_active_time(
    own_server: RealServer, start_replica: Start, client: httpx.AsyncClient
) -> None:
    replica = start_replica(own_server.url, WINDOW_SIZE="2", WINDOW_INTERVAL="4", ACTIVE_WINDOW_COUNT="2")
    ticket = (await client.post(f"{replica.url}/join")).json()
    left_s = (await status_of(client, replica, ticket))["activeForSeconds"]
    own_server.kill()
    await asyncio.sleep(left_s + 1)  # longer than the whole turn
    assert (await status_of(client, replica, ticket))["status"] == "active"
    own_server.start()
    await eventually(lambda: _fresh(client, replica, ticket), within_s=15)
    told = await status_of(client, replica, ticket)
    assert told["status"] == "active"
    assert told["activeForSeconds"] > left_s - 1 - SLACK_S


async def test_a_store_that_comes_back_empty_gives_no_position_twice_and_moves_nobody_back(
    own_server: RealServer, three: list[Replica], client: httpx.AsyncClient
) -> None:
    tickets = await join_many(client, three[:2], 200)  # the third has been quiet
    await eventually(lambda: _serving_at_least(client, three[0], 40))
    before = [await status_of(client, three[0], ticket) for ticket in tickets]
    edge = await _serving_at_least(client, three[0], 0)
    own_server.kill()
    own_server.wipe()
    own_server.start()
    after = await eventually(lambda: join_many(client, three, 30), within_s=15)
    after += await join_many(client, three, 30)
    assert not given_twice([*tickets, *after])
    assert min(ticket["position"] for ticket in after) > max(ticket["position"] for ticket in tickets)
    for replica in three:
        # Each learns by a look of its own what the others brought back.
        await eventually(lambda r=replica: _serving_at_least(client, r, edge))  # type: ignore[misc]
    for told, ticket in zip(before, tickets, strict=True):
        now = await status_of(client, three[2], ticket)
        assert (now["position"], now["epoch"]) == (told["position"], told["epoch"])
        assert now["ahead"] <= told["ahead"], "nobody moves back"
        if told["status"] == "active":
            assert now["status"] == "active"


async def test_a_store_set_back_some_hundred_joins_gives_no_position_twice(
    tmp_path: Path, start_replica: Start, client: httpx.AsyncClient
) -> None:
    store = RealServer(tmp_path / "store").start()
    try:
        replicas = [start_replica(store.url, **WINDOW) for _ in range(3)]
        tickets = await join_many(client, replicas, 50)
        with store.client() as redis:
            redis.save()
        tickets += await join_many(client, replicas[:2], 300)
        store.kill()
        store.start()  # from the snapshot, 300 joins ago
        after = await eventually(lambda: join_many(client, [replicas[2]], 30), within_s=15)
        after += await join_many(client, replicas, 30)
        assert not given_twice([*tickets, *after])
        highest = max(ticket["position"] for ticket in tickets)
        assert all(ticket["position"] > highest for ticket in after)
        healed = (await client.get(f"{replicas[0].url}/metrics")).text
        assert "stanchion_room_gap_positions_total" in healed
    finally:
        store.kill()


async def test_a_flush_without_a_restart_is_healed_as_well(
    own_server: RealServer, three: list[Replica], client: httpx.AsyncClient
) -> None:
    tickets = await join_many(client, three[:1], 100)
    with own_server.client() as redis:
        redis.flushall()
    after = await eventually(lambda: join_many(client, three[1:], 20), within_s=15)
    assert not given_twice([*tickets, *after])


async def _answered(client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> httpx.Response | None:
    answer = await client.post(url, headers=headers)
    return answer if answer.status_code != 503 else None


async def _fresh(client: httpx.AsyncClient, replica: Replica, ticket: dict[str, Any]) -> bool:
    return not (await status_of(client, replica, ticket))["stale"]


async def _serving_at_least(client: httpx.AsyncClient, replica: Replica, edge: int) -> int:
    serving = (await client.get(f"{replica.url}/serving")).json()["serving"]
    return int(serving) if serving >= edge else 0
