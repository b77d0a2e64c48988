"""What goes wrong with one room's data, or with the node of a cluster that has it, is not the other rooms' trouble."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.services import Services
from app.store import keys
from tests.conftest import make_settings
from tests.support.apps import running_app, settled
from tests.support.servers import RealServer
from tests.support.topologies import ClusterSetup
from tests.support.waiting import SLACK_S, eventually

ROOMS = ("default", "concert", "matinee", "late-show")
QUICK = {"rooms": ",".join(ROOMS), "window_size": 1, "window_interval": 0.5, "refresh_interval": 0.05}
ADMIN = {"Authorization": "Bearer admin-token-for-tests"}
App = tuple[httpx.AsyncClient, Services]


@pytest.fixture
async def app(server: RealServer, patient_store: None) -> AsyncIterator[App]:
    async with running_app(make_settings(redis_url=server.url, **QUICK)) as (client, services):
        await eventually(lambda: settled(services))
        yield client, services


def well(services: Services, rooms: tuple[str, ...] = ROOMS) -> list[str]:
    """The rooms that are up to date."""
    return [name for name in rooms if not services.rooms.get(name).stale]


async def moves_on(app: App, room: str) -> None:
    """Whoever joins the room second gets a turn by the leader's hand."""
    client, services = app
    await client.post(f"/rooms/{room}/join")
    second = (await client.post(f"/rooms/{room}/join")).json()
    await eventually(lambda: services.rooms.get(room).snapshot.edge >= second["position"], within_s=2 + 2 * SLACK_S)  # type: ignore[union-attr]


CONCERT = keys.room_keys("concert")
Plant = Callable[[Any], None]
GARBAGE: dict[str, tuple[str, Plant]] = {
    "state-of-another-type": (CONCERT["state"], lambda store: store.set(CONCERT["state"], "not ours")),
    "windows-of-another-type": (CONCERT["windows"], lambda store: store.set(CONCERT["windows"], "not ours")),
    "bars-of-another-type": (keys.room_barred("concert"), lambda store: store.set(keys.room_barred("concert"), "no")),
    "no-number": (CONCERT["state"], lambda store: store.hset(CONCERT["state"], "last", "many")),
    "infinite": (CONCERT["state"], lambda store: store.hset(CONCERT["state"], "edge", "inf")),
    "no-window": (CONCERT["windows"], lambda store: store.zadd(CONCERT["windows"], {"not ours": 10**9})),
    "no-position": (CONCERT["done"], lambda store: store.zadd(CONCERT["done"], {"not ours": 10**16})),
    "no-visitor": (CONCERT["done"], lambda store: store.zadd(CONCERT["sessions"], {"not ours": 1})),
}


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_a_room_whose_keys_hold_something_else_is_stale_and_the_others_go_on(
    app: App, server: RealServer, garbage: str
) -> None:
    client, services = app
    key, plant = GARBAGE[garbage]
    with server.client() as direct, capture_logs() as lines:
        await eventually(lambda: well(services) == list(ROOMS))
        plant(direct)
        await eventually(lambda: services.rooms.get("concert").stale)
        for room in ("default", "matinee", "late-show"):
            await moves_on(app, room)
        await eventually(lambda: set(well(services)) >= {"default", "matinee", "late-show"})
        assert services.housekeeping.live_replicas == 1

        async def store_is_up() -> bool:
            return (await client.get("/readyz?strict")).status_code == 200

        assert await eventually(store_is_up), "it is not away"
        assert await eventually(lambda: [line for line in lines if line["event"] == "state_unreadable"])
        (told,) = (line for line in lines if line["event"] == "state_unreadable")
        assert key in told["keys"]
        assert not [line for line in lines if "exc_info" in line]
        direct.delete(*CONCERT.values(), keys.room_barred("concert"))
        await eventually(lambda: well(services) == list(ROOMS))
    assert (await client.post("/rooms/concert/join")).status_code == 200


@pytest.mark.parametrize(
    "plant",
    [
        lambda store: store.set(CONCERT["state"], "not ours"),
        lambda store: store.hset(CONCERT["state"], "last", "many"),
        lambda store: store.hset(CONCERT["state"], "limits", "{not ours"),
    ],
    ids=["another-type", "no-number", "no-limits"],
)
async def test_whoever_asks_something_of_such_a_room_is_told_what_is_the_matter(
    app: App, server: RealServer, plant: Plant
) -> None:
    client, services = app
    ticket = {"Authorization": f"Bearer {(await client.post('/rooms/concert/join')).json()['token']}"}
    with server.client() as direct, capture_logs() as lines:
        plant(direct)
        for verb, headers in (("join", {}), ("enter", ticket), ("renew", ticket), ("join", {"Idempotency-Key": "a"})):
            refused = await client.post(f"/rooms/concert/{verb}", headers=headers)
            assert refused.status_code == 503, refused.text
            assert refused.headers["retry-after"]
            problem = refused.json()
            assert problem["type"] == "urn:stanchion:problem:state-unreadable"
            assert "'concert'" in problem["detail"]
        assert (await client.get("/rooms/concert/status", headers=ticket)).json()["position"] == 1, "from memory"
        refused = await client.post("/admin/api/rooms/concert/admit", json={"count": 1}, headers=ADMIN)
        assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
        await eventually(lambda: any(line["event"] == "state_unreadable" for line in lines))
        assert not [line for line in lines if "exc_info" in line]
        assert (await client.post("/rooms/default/join")).status_code == 200
        direct.delete(*CONCERT.values())
    await eventually(lambda: well(services) == list(ROOMS))


async def test_what_operators_look_at_may_be_unreadable_too(app: App, server: RealServer) -> None:
    client, services = app
    await client.post("/rooms/concert/join")
    with server.client() as direct:
        await eventually(lambda: services.history._leads())
        for key in (keys.room_audit("concert"), keys.room_history("concert")["history"]):
            direct.lpush(key, "not ours")
            direct.expire(key, 600)
        for what in ("audit", "history"):
            refused = await client.get(f"/admin/api/rooms/concert/{what}", headers=ADMIN)
            assert (refused.status_code, refused.json()["type"]) == (503, "urn:stanchion:problem:state-unreadable")
            assert (await client.get(f"/admin/api/rooms/default/{what}", headers=ADMIN)).status_code == 200
        rates = await services.history.rates()
        assert "default" in rates and "concert" not in rates


async def test_a_replica_is_ready_though_one_of_its_rooms_cannot_be_read(server: RealServer) -> None:
    with server.client() as direct:
        direct.set(CONCERT["state"], "not ours")
        async with running_app(make_settings(redis_url=server.url, **QUICK)) as (client, services):
            await eventually(lambda: services.has_snapshot)
            assert (await client.get("/readyz")).status_code == 200
            assert (await client.post("/rooms/matinee/join")).status_code == 200
            assert (await client.post("/rooms/concert/join")).status_code == 503
            assert (await client.get("/rooms/concert/serving")).status_code == 503
            direct.delete(CONCERT["state"])
            await eventually(lambda: well(services) == list(ROOMS))
        direct.flushall()


async def test_settings_that_this_release_does_not_know_keep_no_room_from_going_on(
    app: App, server: RealServer
) -> None:
    _, services = app
    with server.client() as direct:
        state = keys.room_keys("default")["state"]
        direct.hset(state, "settings", '{"windowSize": 1, "teleport": true}')
        version = direct.hincrby(state, "settings_version", 1)
    room = services.rooms.get("default")
    await eventually(lambda: room.snapshot is not None and room.snapshot.settings_version == version)
    for name in ROOMS:
        await moves_on(app, name)
    assert room.settings.window_size == 1


@pytest.fixture
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSetup]:
    setup = ClusterSetup(tmp_path_factory.mktemp("cluster"))
    try:
        yield setup.start()
    finally:
        setup.stop()


@pytest.mark.topology
@pytest.mark.parametrize("node", [0, 1, 2])
async def test_while_one_of_a_clusters_nodes_is_away_the_rooms_of_the_others_go_on(
    own_cluster: ClusterSetup, node: int
) -> None:
    async with running_app(make_settings(redis_url=own_cluster.url, **QUICK)) as app:
        _, services = app
        await eventually(lambda: settled(services) and well(services) == list(ROOMS))
        client = services.store.client
        for each in own_cluster.nodes:
            with each.client() as direct:
                direct.config_set("cluster-require-full-coverage", "no")
        of_node = {name: client.get_node_from_key(keys.room_keys(name)["state"]).port for name in ROOMS}
        gone = own_cluster.nodes[node]
        others = tuple(name for name in ROOMS if of_node[name] != gone.port)
        assert others
        gone.freeze()
        try:
            await eventually(lambda: len(well(services)) <= len(others))
            for room in others:
                await moves_on(app, room)
            await eventually(lambda: set(well(services)) >= set(others))
        finally:
            gone.thaw()
        await eventually(lambda: well(services) == list(ROOMS), within_s=30)
