"""Locks over a store that restarts, forgets everything, fails over, or is a cluster: what is promised there."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from app.errors import LockHeld, LockLost, StanchionError
from app.locks.model import Wanted
from app.locks.service import LockService
from app.store.keys import lock_keys
from tests.locks.conftest import OpenLocks
from tests.support.servers import RealServer
from tests.support.topologies import SentinelSetup
from tests.support.waiting import eventually


def wanted(lock_id: str = "x", *, lease_ms: int = 20_000, wait_ms: int = 60_000) -> Wanted:
    return Wanted(lock_id, lease_ms, wait_ms)


async def in_line(locks: LockService, count: int, lock_id: str = "x") -> None:
    async def there() -> bool:
        return (await locks.look(lock_id)).waiters == count

    await eventually(there, every_s=0.002, within_s=20)


async def queue_up(
    replicas: list[LockService], count: int, order: list[int], *, lock_id: str = "x"
) -> list["asyncio.Task[None]"]:
    """Let so many stand in line one after the other, spread over the replicas; each notes when it is served."""

    async def take(number: int) -> None:
        async with replicas[number % len(replicas)].holding(wanted(lock_id)):
            order.append(number)

    tasks = []
    for number in range(count):
        tasks.append(asyncio.create_task(take(number)))
        await in_line(replicas[0], number + 1, lock_id)
    return tasks


async def until_done(release: Callable[[], Awaitable[None]]) -> None:
    async def done() -> bool:
        await release()
        return True

    await eventually(done, within_s=20)


async def test_a_restart_with_its_file_keeps_holder_line_and_order(
    own_server: RealServer, open_locks: OpenLocks
) -> None:
    replicas = [await open_locks(own_server.url) for _ in range(2)]
    first = await replicas[0].acquire(wanted())
    order: list[int] = []
    tasks = await queue_up(replicas, 10, order)
    own_server.kill()
    own_server.start()
    await in_line(replicas[0], 10)
    with pytest.raises(LockHeld):
        await replicas[1].acquire(wanted(wait_ms=0))
    assert not order
    await until_done(lambda: replicas[0].release("x", first.token))
    await asyncio.gather(*tasks)
    assert order == list(range(10))


async def test_a_store_that_forgot_everything_gets_the_line_back_in_order_and_higher_fences(
    own_server: RealServer, open_locks: OpenLocks
) -> None:
    replicas = [await open_locks(own_server.url) for _ in range(2)]
    first = await replicas[0].acquire(wanted(lease_ms=500))
    blocker = await replicas[1].acquire(wanted("other"))
    order: list[int] = []
    tasks = await queue_up(replicas[:1], 10, order)
    own_server.kill()
    own_server.wipe()
    own_server.start()
    # The holder is forgotten too: it learns so at its next renewal, and whoever comes now has a higher fence.
    await asyncio.gather(*tasks)
    assert order == list(range(10))
    with pytest.raises(LockLost):
        await replicas[0].renew("x", first.token, 500)
    assert (await replicas[0].acquire(wanted())).fence > first.fence
    with pytest.raises(LockLost):
        await replicas[1].renew("other", blocker.token, 500)


async def test_waiters_outlast_an_outage_and_new_ones_are_told_at_once(
    own_server: RealServer, open_locks: OpenLocks
) -> None:
    locks = await open_locks(own_server.url)
    first = await locks.acquire(wanted())
    order: list[int] = []
    tasks = await queue_up([locks], 3, order)
    own_server.stop()
    with pytest.raises(StanchionError) as refused:
        await locks.acquire(wanted())
    assert refused.value.kind == "store-unavailable"
    own_server.start()
    await until_done(lambda: locks.release("x", first.token))
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2]


async def test_what_was_asked_for_before_a_freeze_does_not_hold_after_it(
    own_server: RealServer, open_locks: OpenLocks
) -> None:
    locks = await open_locks(own_server.url)
    await locks.release("x", (await locks.acquire(wanted())).token)
    own_server.freeze()
    with pytest.raises(StanchionError):
        await locks.acquire(wanted(wait_ms=0))
    own_server.thaw()

    async def free() -> bool:
        view = await locks.look("x")
        with own_server.client() as client:
            return not view.holders and bool(client.keys(lock_keys("x")["holders"].replace("holders", "done:*")))

    await eventually(free)


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
    own_sentinel.replica.freeze()  # what follows never reaches it
    lost = await locks.acquire(wanted())
    order: list[int] = []
    tasks = await queue_up([locks], 3, order)
    own_sentinel.primary.freeze()
    own_sentinel.replica.thaw()
    await asyncio.to_thread(own_sentinel.kill_primary)
    await asyncio.wait_for(asyncio.gather(*tasks), 30)
    assert order == [0, 1, 2]
    assert (await locks.acquire(wanted())).fence > lost.fence


@pytest.mark.topology
async def test_on_a_cluster_locks_are_handed_over_across_replicas(
    cluster_store_url: str, open_locks: OpenLocks
) -> None:
    replicas = [await open_locks(cluster_store_url) for _ in range(2)]
    for lock_id in ("a", "b}", "c/{d}", "é"):  # different slots, so different nodes
        first = await replicas[0].acquire(wanted(lock_id))
        order: list[int] = []
        tasks = await queue_up(replicas, 6, order, lock_id=lock_id)
        loop = asyncio.get_running_loop()
        released_s = loop.time()
        await replicas[0].release(lock_id, first.token)
        await asyncio.gather(*tasks)
        assert order == list(range(6))
        assert loop.time() - released_s < 2.0, "hand-overs waited for the beat: the channel does not reach the replicas"
        await replicas[0].acquire(wanted(lock_id))

    async def listed() -> bool:
        return len((await replicas[1].held(10))[1]) == 4

    await eventually(listed)
