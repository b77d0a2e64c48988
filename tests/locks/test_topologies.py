"""Locks over Sentinel and over a cluster: what is promised there."""

import asyncio
import contextlib

import pytest

from app.errors import LockLost
from app.store.keys import lock_keys
from tests.locks.conftest import OpenLocks
from tests.locks.test_outages import queue_up, until_done, wanted
from tests.support.topologies import SentinelSetup
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("patient")


@pytest.mark.topology
@pytest.mark.parametrize("how", ["failover", "kill_primary"])
async def test_a_failover_keeps_order_and_raises_fences(
    own_sentinel: SentinelSetup, open_locks: OpenLocks, how: str
) -> None:
    replicas = [await open_locks(own_sentinel.url) for _ in range(2)]
    first = await replicas[0].acquire(wanted())
    order: list[int] = []
    tasks = await queue_up(replicas, 6, order)
    fences = [first.fence]
    await asyncio.to_thread(getattr(own_sentinel, how))
    with contextlib.suppress(LockLost):  # the grant may be among the writes that a failover loses
        await until_done(lambda: replicas[0].release("x", first.token))
    await asyncio.wait_for(asyncio.gather(*tasks), 30)
    assert order == list(range(6))

    async def again() -> bool:
        grant = await replicas[1].acquire(wanted())
        fences.append(grant.fence)
        await replicas[1].release("x", grant.token)
        return True

    for _ in range(3):
        await eventually(again, within_s=20)
    assert fences == sorted(set(fences))


@pytest.mark.topology
async def test_writes_that_a_failover_loses_lower_no_fence_and_lose_no_place(
    own_sentinel: SentinelSetup, open_locks: OpenLocks
) -> None:
    locks = await open_locks(own_sentinel.url)
    known = await locks.acquire(wanted())
    await locks.release("x", known.token)
    with own_sentinel.replica.client() as replica:
        await eventually(lambda: replica.get(lock_keys("x")["fence"]) == str(known.fence))
    # From here on nothing reaches the replica, not even into its socket.
    own_sentinel.replica.freeze()
    with own_sentinel.primary.client() as primary:
        primary.execute_command("CLIENT", "KILL", "TYPE", "replica")
    lost = await locks.acquire(wanted())
    order: list[int] = []
    tasks = await queue_up([locks], 3, order)
    own_sentinel.primary.kill()
    own_sentinel.replica.thaw()
    with own_sentinel.replica.client() as replica:
        assert replica.get(lock_keys("x")["fence"]) == str(known.fence)
        await eventually(lambda: replica.role()[0] == "master", within_s=30)
    await asyncio.wait_for(asyncio.gather(*tasks), 30)
    assert order == [0, 1, 2]
    with pytest.raises(LockLost):  # the forgotten holder learns of it at its next renewal
        await locks.renew("x", lost.token, 20_000)
    assert (await locks.acquire(wanted())).fence > lost.fence


@pytest.mark.topology
async def test_on_a_cluster_locks_are_handed_over_across_replicas(
    cluster_store_url: str, open_locks: OpenLocks
) -> None:
    replicas = [await open_locks(cluster_store_url) for _ in range(2)]
    for lock_id in ("a", "b}", "c/{d}", "é"):  # different slots, so different nodes
        first = await replicas[0].acquire(wanted(lock_id))
        order: list[int] = []
        tasks = await queue_up(replicas, 10, order, lock_id=lock_id)
        loop = asyncio.get_running_loop()
        released_s = loop.time()  # the beat alone would take some ten times 0.6 to 0.75 seconds
        await replicas[0].release(lock_id, first.token)
        await asyncio.gather(*tasks)
        assert order == list(range(10))
        assert loop.time() - released_s < 9 * 0.6, (
            "hand-overs waited for the beat: the channel does not reach the replicas"
        )
        await replicas[0].acquire(wanted(lock_id))

    async def listed() -> bool:
        return len((await replicas[1].held(10))[1]) == 4

    await eventually(listed)
