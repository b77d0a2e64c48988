"""Several `stanchion serve` processes against one store."""

import itertools
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from tests.support.crowd import given_twice, join_many, status_of
from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.waiting import eventually

Start = Callable[..., Replica]


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=10, limits=httpx.Limits(max_connections=60)) as client:
        yield client


async def test_positions_are_unique_and_without_gaps_across_replicas(
    server: RealServer, start_replica: Start, client: httpx.AsyncClient
) -> None:
    replicas = [start_replica(server.url, wait=False) for _ in range(3)]
    for replica in replicas:
        replica.wait_until_ready()
    tickets = await join_many(client, replicas, 400)
    assert sorted(ticket["position"] for ticket in tickets) == list(range(1, 401))


async def test_every_replica_knows_every_ticket(
    server: RealServer, start_replica: Start, client: httpx.AsyncClient
) -> None:
    first, second = start_replica(server.url), start_replica(server.url)
    ticket = (await client.post(f"{first.url}/join")).json()
    assert (await status_of(client, second, ticket))["position"] == ticket["position"]


async def test_a_killed_leader_costs_at_most_one_late_step_and_never_a_double_one(
    server: RealServer, start_replica: Start, client: httpx.AsyncClient
) -> None:
    interval_s, size, period_s, late_s = 1.5, 3, 0.1, 1.0
    window = {"WINDOW_SIZE": str(size), "WINDOW_INTERVAL": str(interval_s), "ACTIVE_WINDOW_COUNT": "100"}
    # Short periods, so that those who step in for the leader are late by much less than what counts as late here.
    replicas = [start_replica(server.url, REFRESH_INTERVAL=str(period_s), **window) for _ in range(3)]
    await join_many(client, replicas, 90)
    leader = await eventually(lambda: [r for r in replicas if "leading" in r.log()])
    others = [replica for replica in replicas if replica is not leader[0]]

    def moves() -> list[tuple[int, int]]:
        """Every move so far, with its time by the room's own clock: each has left when the turns end that it began."""
        windows = redis.zrange("stanchion:{room:default}:windows", 0, -1)
        return [(int(end_ms), int(edge)) for edge, end_ms in (window.split(":") for window in windows)]

    with server.client() as redis:
        await eventually(lambda: len(moves()) >= 3, within_s=20)
        leader[0].kill()
        moved = await eventually(lambda: moves() if len(moves()) >= 8 else None, within_s=40)
    steps = [after - before for (_, before), (_, after) in itertools.pairwise([(0, size), *moved])]
    assert set(steps) == {size}, "one batch at a time"
    waits_ms = [after - before for (before, _), (after, _) in itertools.pairwise(moved)]
    assert min(waits_ms) >= interval_s * 1000
    late = [wait_ms for wait_ms in waits_ms if wait_ms > 1000 * (interval_s + late_s)]
    assert len(late) <= 1, f"at most one late step: {waits_ms}"

    async def goes_on() -> bool:
        return bool((await client.get(f"{others[0].url}/serving")).json()["serving"] >= moved[-1][1])

    await eventually(goes_on)


async def test_replicas_start_in_any_order_also_before_the_store(
    tmp_path: Path, start_replica: Start, client: httpx.AsyncClient
) -> None:
    store = RealServer(tmp_path / "late-store")
    early = start_replica(store.url, wait=False)
    await eventually(lambda: _answers(client, f"{early.url}/livez", 200), within_s=30)
    assert (await client.get(f"{early.url}/readyz")).status_code == 503
    assert (await client.post(f"{early.url}/join")).status_code in (503,)
    store.start()
    try:
        late = start_replica(store.url)
        early.wait_until_ready()
        tickets = await join_many(client, [early, late], 20)
        assert sorted(ticket["position"] for ticket in tickets) == list(range(1, 21))
    finally:
        store.stop()


async def test_sigterm_drains_before_it_stops(
    server: RealServer, start_replica: Start, client: httpx.AsyncClient
) -> None:
    replica = start_replica(server.url, DRAIN_SECONDS="6")
    replica.signal(signal.SIGTERM)
    await eventually(lambda: _answers(client, f"{replica.url}/readyz", 503), within_s=5)
    joined = await client.post(f"{replica.url}/join")
    assert joined.status_code == 200, "visitors that a load balancer still sends are served"
    assert replica.wait() in (0, -signal.SIGTERM)


async def test_two_replicas_with_random_keys_share_them_and_rotate_without_refusing_anybody(
    server: RealServer, start_replica: Start, client: httpx.AsyncClient
) -> None:
    admin = {"ADMIN_TOKEN": "admin-token-for-tests"}
    replicas = [start_replica(server.url, **admin), start_replica(server.url, **admin)]
    before = (await client.post(f"{replicas[0].url}/join")).json()
    rotated = await client.post(
        f"{replicas[0].url}/admin/api/keys/rotate", headers={"Authorization": "Bearer admin-token-for-tests"}
    )
    assert rotated.status_code == 200, rotated.text

    async def signs_with_the_new_key() -> dict[str, object] | None:
        ticket: dict[str, object] = (await client.post(f"{replicas[0].url}/join")).json()
        header = str(ticket["token"]).split(".")[0]
        return ticket if header != before["token"].split(".")[0] else None

    after = await eventually(signs_with_the_new_key, within_s=15)
    for ticket in (before, after):
        for replica in replicas:
            assert (await status_of(client, replica, ticket))["position"] == ticket["position"]
    assert not given_twice([before, after])


async def _answers(client: httpx.AsyncClient, url: str, status: int) -> bool:
    try:
        return (await client.get(url)).status_code == status
    except httpx.HTTPError:
        return False
