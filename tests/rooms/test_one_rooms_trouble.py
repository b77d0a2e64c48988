"""What goes wrong with one room's data, or with the node of a cluster that has it, is not the other rooms' trouble."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from app.services import Services
from app.store import keys
from tests.conftest import make_settings
from tests.support.apps import running_app, settled
from tests.support.servers import RealServer
from tests.support.topologies import ClusterSetup
from tests.support.waiting import SLACK_S, eventually

ROOMS = ("default", "concert", "matinee", "late-show")
QUICK = {"rooms": ",".join(ROOMS), "window_size": 1, "window_interval": 0.5, "refresh_interval": 0.05}
App = tuple[httpx.AsyncClient, Services]


@pytest.fixture
async def app(server: RealServer) -> AsyncIterator[App]:
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


@pytest.mark.parametrize(
    "key", [keys.room_keys("concert")["state"], keys.room_keys("concert")["windows"]], ids=["state", "windows"]
)
async def test_a_room_whose_key_holds_something_else_is_stale_and_the_others_go_on(
    app: App, server: RealServer, key: str
) -> None:
    client, services = app
    with server.client() as direct:
        kept = direct.dump(key) if direct.exists(key) else None
        await eventually(lambda: well(services) == list(ROOMS))
        direct.set(key, "not ours")
        await eventually(lambda: services.rooms.get("concert").stale)
        for room in ("default", "matinee", "late-show"):
            await moves_on(app, room)
        await eventually(lambda: set(well(services)) >= {"default", "matinee", "late-show"})
        assert services.housekeeping.live_replicas == 1
        refused = await client.post("/rooms/concert/join")
        assert refused.status_code == 503, refused.text
        assert refused.headers["retry-after"]
        direct.delete(key)
    del kept
    await eventually(lambda: well(services) == list(ROOMS))


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
