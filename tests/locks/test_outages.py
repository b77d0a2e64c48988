"""Locks over a store that restarts, is away, or forgets everything: what is promised there."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.errors import LockHeld, LockLost, StanchionError
from app.locks.model import Wanted
from app.locks.service import LockService
from app.store.keys import lock_keys
from tests.locks.conftest import OpenLocks
from tests.support.servers import RealServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("patient")


def wanted(lock_id: str = "x", *, lease_ms: int = 60_000, wait_ms: int = 120_000) -> Wanted:
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
    first = await replicas[0].acquire(wanted())
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
