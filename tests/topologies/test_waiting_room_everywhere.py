"""The waiting room on every kind of store: the same story on one server, behind Sentinel, and on a cluster."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from app.services import Services
from tests.conftest import make_settings
from tests.support.apps import running_app, settled
from tests.support.crowd import given_twice
from tests.support.looks import change
from tests.support.topologies import ClusterSetup, SentinelSetup
from tests.support.waiting import eventually

pytestmark = pytest.mark.topology


@asynccontextmanager
async def waiting_rooms(url: str) -> AsyncIterator[tuple[httpx.AsyncClient, Services]]:
    """A replica with three rooms, in which three are on turn and nobody else's turn comes, or ends, by itself."""
    settings = make_settings(
        redis_url=url,
        rooms="default,concert,matinee",
        window_size=3,
        window_interval=600,
        jwt_secret="",
        refresh_interval=0.05,
    )
    async with running_app(settings) as (client, services):
        await eventually(lambda: settled(services))
        yield client, services


@pytest.fixture(params=["standalone", "sentinel", "cluster"])
def store_url(request: pytest.FixtureRequest) -> str:
    fixture = {"sentinel": "sentinel_store_url", "cluster": "cluster_store_url"}.get(request.param)
    if fixture is None:
        url: str = request.getfixturevalue("server").url
        return url
    found: str = request.getfixturevalue(fixture)
    return found


async def test_joins_are_in_order_and_the_window_moves(store_url: str) -> None:
    async with waiting_rooms(store_url) as (client, services):
        for room, prefix in (("default", ""), ("concert", "/rooms/concert"), ("matinee", "/rooms/matinee")):
            answers = await asyncio.gather(*(client.post(f"{prefix}/join") for _ in range(9)))
            tickets = [answer.json() for answer in answers]
            assert [ticket["position"] for ticket in tickets] == list(range(1, 10))
            assert [ticket["status"] for ticket in tickets[:4]] == ["active"] * 3 + ["waiting"]
            bearer = {"Authorization": f"Bearer {tickets[8]['token']}"}
            await change(services, room, window_interval_seconds=0.5, active_window_count=100)

            async def active(prefix: str = prefix, bearer: dict[str, str] = bearer) -> bool:
                return bool((await client.get(f"{prefix}/status", headers=bearer)).json()["status"] == "active")

            await eventually(active, within_s=15)


async def test_an_idempotency_key_holds_across_replicas(store_url: str) -> None:
    async with waiting_rooms(store_url) as (first, _), waiting_rooms(store_url) as (second, _):
        answers = await asyncio.gather(
            *(client.post("/join", headers={"Idempotency-Key": "the-same"}) for client in (first, second) * 5)
        )
        assert len({answer.json()["position"] for answer in answers}) == 1


async def test_who_enters_at_one_replica_is_known_and_ended_at_another(store_url: str) -> None:
    async with waiting_rooms(store_url) as (first, _), waiting_rooms(store_url) as (second, _):
        assert (await first.get("/.well-known/jwks.json")).content == (
            await second.get("/.well-known/jwks.json")
        ).content
        for room in ("default", "concert", "matinee"):
            ticket = (await first.post(f"/rooms/{room}/join")).json()["token"]
            bearer = {"Authorization": f"Bearer {ticket}"}
            entered = (await first.post(f"/rooms/{room}/enter", headers=bearer)).json()
            carried = {"X-Waiting-Room-Pass": entered["pass"]}
            renewed = await second.post(f"/rooms/{room}/renew", headers=carried)
            assert renewed.json()["sessionId"] == entered["sessionId"]
            assert (await second.get(f"/gate/{room}", headers=carried)).status_code == 200
            revoked = {**carried, "X-Waiting-Room-End": "revoke"}
            assert (await second.post(f"/gate/{room}/end", headers=revoked)).status_code == 204

            async def refused(room: str = room, carried: dict[str, str] = carried) -> bool:
                return (await first.get(f"/gate/{room}", headers=carried)).status_code != 200

            await eventually(refused)
            assert (await first.post(f"/rooms/{room}/join", headers=bearer)).status_code == 403


async def test_a_place_is_taken_to_another_device_at_another_replica(store_url: str) -> None:
    async with waiting_rooms(store_url) as (first, _), waiting_rooms(store_url) as (second, _):
        for room in ("default", "concert", "matinee"):
            ticket = (await first.post(f"/rooms/{room}/join")).json()
            bearer = {"Authorization": f"Bearer {ticket['token']}"}
            offer = (await first.post(f"/rooms/{room}/carry", headers=bearer)).json()
            taken = [await c.post(f"/rooms/{room}/takeover", json={"code": offer["code"]}) for c in (second, first)]
            assert [answer.status_code for answer in taken] == [200, 410]
            assert taken[0].json()["place"]["token"] == ticket["token"]
            look = await second.get(f"/rooms/{room}/carry/{offer['offerId']}", headers=bearer)
            assert look.json()["state"] == "taken"


async def test_replicas_share_keys_and_a_pause_reaches_all(store_url: str) -> None:
    async with waiting_rooms(store_url) as (first, services), waiting_rooms(store_url) as (second, _):
        tickets = [(await first.post("/join")).json() for _ in range(5)]
        bearer = {"Authorization": f"Bearer {tickets[4]['token']}"}
        assert (await second.get("/status", headers=bearer)).status_code == 200
        await services.operator.control("default", "pause", "test")

        async def paused() -> bool:
            return bool((await second.get("/serving")).json()["paused"])

        await eventually(paused)


async def test_a_sentinel_failover_gives_no_position_twice_and_moves_nobody_back(own_sentinel: SentinelSetup) -> None:
    async with waiting_rooms(own_sentinel.url) as (first, _), waiting_rooms(own_sentinel.url) as (second, _):
        await _fail_over_under_joins([first, second], own_sentinel.kill_primary)


async def test_a_clusters_failover_gives_no_position_twice_and_moves_nobody_back(own_cluster: ClusterSetup) -> None:
    async with waiting_rooms(own_cluster.url) as (first, _), waiting_rooms(own_cluster.url) as (second, _):
        await _fail_over_under_joins([first, second], own_cluster.kill_primary)


async def _fail_over_under_joins(clients: list[httpx.AsyncClient], fail_over: Callable[[], None]) -> None:
    tickets: list[dict[str, object]] = []
    over = asyncio.Event()

    async def keep_joining(client: httpx.AsyncClient, room: str) -> None:
        while not over.is_set():
            answer = await client.post(f"/rooms/{room}/join")
            if answer.status_code == 200:
                tickets.append(answer.json())
            else:
                assert answer.status_code == 503, answer.text
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as joining:
        for client in clients:
            for room in ("default", "concert", "matinee"):
                joining.create_task(keep_joining(client, room))
        try:
            await eventually(lambda: len(tickets) > 60)
            await asyncio.to_thread(fail_over)
            before = len(tickets)
            await eventually(lambda: len(tickets) > before + 60, within_s=40)
        finally:
            over.set()
    for room in ("default", "concert", "matinee"):
        here = [ticket for ticket in tickets if ticket["room"] == room]
        assert not given_twice(here)
        highest = max(here, key=lambda ticket: int(str(ticket["position"])))
        for client in clients:
            told = (
                await client.get(f"/rooms/{room}/status", headers={"Authorization": f"Bearer {highest['token']}"})
            ).json()
            assert (told["position"], told["epoch"]) == (highest["position"], highest["epoch"])
