"""After a failover the store goes on by itself: no restart, no stale node, no script forgotten."""

import pytest

from app.errors import StoreUnavailable
from app.store import Call, Script, Store
from tests.store.conftest import opened
from tests.support.topologies import ClusterSetup, SentinelSetup
from tests.support.waiting import SLACK_S, eventually

pytestmark = pytest.mark.topology


def spread(add: Script, count: int = 12) -> list[Call]:
    return [Call(add, {"counter": f"{{tag-{i}}}"}, {"count": 1}) for i in range(count)]


async def all_answer(store: Store, add: Script) -> bool:
    return all(isinstance(reply, int) for reply in await store.run_many(spread(add)))


@pytest.mark.parametrize("trouble", ["failover", "kill_primary", "freeze_primary"])
async def test_sentinels_new_primary_is_found(own_sentinel: SentinelSetup, add: Script, trouble: str) -> None:
    async with opened(own_sentinel.url) as store:
        await eventually(lambda: all_answer(store, add))
        getattr(own_sentinel, trouble)()
        await eventually(lambda: all_answer(store, add), within_s=5 + SLACK_S)
        with own_sentinel.primary.client() as client:
            assert client.get("{tag-0}") is not None


@pytest.mark.parametrize("trouble", ["failover", "kill_primary"])
async def test_a_clusters_new_primary_is_found(own_cluster: ClusterSetup, add: Script, trouble: str) -> None:
    async with opened(own_cluster.url) as store:
        await eventually(lambda: all_answer(store, add))
        getattr(own_cluster, trouble)()
        await eventually(lambda: all_answer(store, add), within_s=5 + SLACK_S)
        await eventually(lambda: store.run(add, {"counter": "{tag-0}"}, {"count": 1}), within_s=5 + SLACK_S)


async def test_a_frozen_node_spoils_only_its_own_rooms_and_heals(own_cluster: ClusterSetup, add: Script) -> None:
    async with opened(own_cluster.url) as store:
        await eventually(lambda: all_answer(store, add))
        for node in own_cluster.nodes:
            with node.client() as client:
                client.config_set("cluster-node-timeout", "15000")
        own_cluster.nodes[1].freeze()
        replies = await store.run_many(spread(add))
        assert {type(reply) for reply in replies} == {int, StoreUnavailable}
        own_cluster.nodes[1].thaw()
        await eventually(lambda: all_answer(store, add))


async def test_a_slot_that_moved_is_followed(own_cluster: ClusterSetup, add: Script) -> None:
    async with opened(own_cluster.url) as store:
        await eventually(lambda: all_answer(store, add))
        with own_cluster.nodes[0].client() as client:
            slot = client.cluster("KEYSLOT", "{moved}")
        owner = next(i for i in range(3) if slot < 16384 * (i + 1) // 3)
        own_cluster.move_slot(slot, own_cluster.nodes[owner], own_cluster.nodes[(owner + 1) % 3])
        (reply,) = await store.run_many([Call(add, {"counter": "{moved}"}, {"count": 5})])
        assert reply == 5
        assert await store.run(add, {"counter": "{moved}"}, {"count": 1}) == 6
