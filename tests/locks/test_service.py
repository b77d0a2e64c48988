"""Locks on a real server: taking, waiting in order, handing over, and giving up at every moment."""

import asyncio
from typing import Any

import pytest

from app.errors import Conflict, LockHeld, LockLineFull, LockLost, LockWaitRanOut, StanchionError
from app.locks.model import Grant, Status, Wanted
from app.locks.service import LockService
from tests.locks.conftest import OpenLocks
from tests.support.servers import RealServer
from tests.support.waiting import SLACK_S, eventually


def wanted(lock_id: str = "x", *, lease_ms: int = 60_000, wait_ms: int = 0, limit: int = 1, owner: str = "") -> Wanted:
    return Wanted(lock_id, lease_ms, wait_ms, limit, owner)


async def waiting(locks: LockService, count: int, lock_id: str = "x") -> None:
    """Until so many stand in line."""

    async def there() -> bool:
        return (await locks.look(lock_id)).waiters == count

    await eventually(there, every_s=0.002)


async def test_a_held_lock_is_refused_with_what_is_left_of_its_lease(locks: LockService) -> None:
    await locks.acquire(wanted(lease_ms=60_000))
    with pytest.raises(LockHeld) as refused:
        await locks.acquire(wanted())
    assert refused.value.retry_after_s is not None
    assert 60 - SLACK_S < refused.value.retry_after_s <= 60


async def test_different_ids_do_not_wait_for_each_other(locks: LockService) -> None:
    for lock_id in ("a", "b", "a/b", "a}b", "é🎟", "a b", "\n", "a" * 512):
        await locks.acquire(wanted(lock_id))
        with pytest.raises(LockHeld):
            await locks.acquire(wanted(lock_id))


async def test_a_released_lock_is_free_and_leaves_only_its_fence(locks: LockService, server: RealServer) -> None:
    grant = await locks.acquire(wanted())
    await locks.release("x", grant.token)
    await locks.acquire(wanted())
    again = await locks.acquire(wanted("y"))
    await locks.release("y", again.token)
    with server.client() as client:
        left = sorted(key for key in client.scan_iter("*{lock:y}*"))
    assert left == [f"stanchion:{{lock:y}}:done:{again.token}", "stanchion:{lock:y}:fence"]


async def test_releasing_again_gets_the_same_answer(locks: LockService) -> None:
    grant = await locks.acquire(wanted())
    await locks.release("x", grant.token)
    await locks.release("x", grant.token)
    for _ in range(2):
        with pytest.raises(LockLost):
            await locks.release("x", "never-held-it")


async def test_fences_only_rise_also_when_the_store_forgets_them(locks: LockService, server: RealServer) -> None:
    fences = []
    for round_number in range(20):
        grant = await locks.acquire(wanted())
        fences.append(grant.fence)
        await locks.release("x", grant.token)
        if round_number % 5 == 4:
            with server.client() as client:
                # Fences rise by the millisecond where the last one is forgotten.
                await eventually(lambda before=grant: store_ms(client) > before.granted_ms)
                client.flushall()
    assert fences == sorted(set(fences))


def store_ms(client: Any) -> int:
    """The store's own clock, in whole milliseconds."""
    seconds, microseconds = client.time()
    return int(seconds * 1000 + microseconds // 1000)


@pytest.mark.usefixtures("patient")
async def test_waiters_are_served_in_order_of_arrival_across_replicas(open_locks: OpenLocks) -> None:
    replicas = [await open_locks() for _ in range(3)]
    first = await replicas[0].acquire(wanted())
    order: list[int] = []

    async def take(number: int) -> None:
        async with replicas[number % 3].holding(wanted(wait_ms=60_000)):
            order.append(number)

    tasks = []
    for number in range(30):
        tasks.append(asyncio.create_task(take(number)))
        await waiting(replicas[0], number + 1)
    await replicas[0].release("x", first.token)
    await asyncio.gather(*tasks)
    assert order == list(range(30))


@pytest.mark.usefixtures("patient")
async def test_nobody_barges_past_the_line(locks: LockService) -> None:
    first = await locks.acquire(wanted())
    second = asyncio.create_task(locks.acquire(wanted(wait_ms=60_000)))
    await waiting(locks, 1)
    await locks.release("x", first.token)
    with pytest.raises(LockHeld):
        await locks.acquire(wanted())
    assert (await second).fence > first.fence


@pytest.mark.usefixtures("patient")
async def test_a_release_wakes_exactly_one_waiter(open_locks: OpenLocks, server: RealServer) -> None:
    replicas = [await open_locks() for _ in range(2)]
    first = await replicas[0].acquire(wanted())
    tasks = [asyncio.create_task(replicas[n % 2].acquire(wanted(wait_ms=60_000))) for n in range(10)]
    await waiting(replicas[0], 10)
    with server.client() as client:
        listener = client.pubsub()
        listener.psubscribe("*")
        listener.get_message(timeout=5)
        await replicas[0].release("x", first.token)
        await eventually(lambda: any(task.done() for task in tasks))
        told = [listener.get_message(timeout=0.2) for _ in range(2)]
        listener.close()
    assert told[0] is not None
    assert told[1] is None
    assert sum(task.done() for task in tasks) == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_lost_notification_costs_at_most_a_second(open_locks: OpenLocks) -> None:
    deaf = await open_locks(listen=False)
    loop = asyncio.get_running_loop()
    first = await deaf.acquire(wanted())
    second = asyncio.create_task(deaf.acquire(wanted(wait_ms=60_000)))
    await waiting(deaf, 1)
    released_s = loop.time()
    await deaf.release("x", first.token)
    await second
    assert loop.time() - released_s < 1 + SLACK_S


async def test_a_dead_holder_loses_the_lock_at_its_lease(locks: LockService) -> None:
    first = await locks.acquire(wanted(lease_ms=300))
    second = await locks.acquire(wanted(wait_ms=60_000))
    assert 250 <= second.granted_ms - first.granted_ms < 1300 + SLACK_S * 1000
    with pytest.raises(LockLost):
        await locks.renew("x", first.token, 300)


async def test_the_wait_runs_out_and_leaves_no_place_behind(locks: LockService) -> None:
    await locks.acquire(wanted())
    with pytest.raises(LockWaitRanOut):
        await locks.acquire(wanted(wait_ms=100))
    await waiting(locks, 0)


async def test_a_cancelled_waiter_is_passed_over(locks: LockService) -> None:
    first = await locks.acquire(wanted())
    second = asyncio.create_task(locks.acquire(wanted(wait_ms=60_000)))
    await waiting(locks, 1)
    third = asyncio.create_task(locks.acquire(wanted(wait_ms=60_000)))
    await waiting(locks, 2)
    second.cancel()
    await waiting(locks, 1)
    await locks.release("x", first.token)
    assert (await third).fence > first.fence


async def test_cancelling_at_any_moment_leaks_no_lock(open_locks: OpenLocks) -> None:
    replicas = [await open_locks() for _ in range(2)]
    inside = 0

    async def use(number: int) -> None:
        nonlocal inside
        async with replicas[number % 2].holding(wanted(wait_ms=60_000)):
            inside += 1
            assert inside == 1
            try:
                await asyncio.sleep(0.001)
            finally:
                inside -= 1

    async def hang_up(number: int) -> None:
        task = asyncio.create_task(use(number))
        await asyncio.sleep((number * 37 % 100) / 1000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await asyncio.gather(*(hang_up(n) if n % 3 else use(n) for n in range(150)))
    await asyncio.wait_for(use(0), 20)  # a third of the lease of one that has leaked


async def test_asking_again_just_as_the_lock_comes_free_leaves_no_second_place_in_line(locks: LockService) -> None:
    scripts = locks._scripts
    await scripts.acquire(wanted(lease_ms=100), "first", wait_ms=0)
    await scripts.acquire(wanted(), "second", wait_ms=60_000)

    async def over() -> bool:
        return not (await locks.look("x")).holders

    await eventually(over)
    assert (await scripts.acquire(wanted(), "second", wait_ms=60_000)).status is Status.GRANTED
    assert (await locks.look("x")).waiters == 0
    await scripts.release("x", "second", remember=False)
    assert (await locks.look("x")).holders == ()


async def test_a_semaphore_has_as_many_holders_as_its_limit(locks: LockService) -> None:
    grants = [await locks.acquire(wanted(limit=3)) for _ in range(3)]
    with pytest.raises(LockHeld):
        await locks.acquire(wanted(limit=3))
    fourth = asyncio.create_task(locks.acquire(wanted(limit=3, wait_ms=60_000)))
    await waiting(locks, 1)
    await locks.release("x", grants[1].token)
    assert (await fourth).fence > max(grant.fence for grant in grants)
    assert len({grant.fence for grant in grants}) == 3


async def test_another_limit_is_refused_until_the_lock_is_free(locks: LockService) -> None:
    first = await locks.acquire(wanted(limit=2))
    with pytest.raises(Conflict):
        await locks.acquire(wanted(limit=3, wait_ms=1000))
    await locks.release("x", first.token)
    await locks.acquire(wanted(limit=3))


async def test_a_full_line_refuses_further_waiters(open_locks: OpenLocks) -> None:
    locks = await open_locks(max_waiters=2)
    await locks.acquire(wanted())
    tasks = [asyncio.create_task(locks.acquire(wanted(wait_ms=60_000))) for _ in range(2)]
    await waiting(locks, 2)
    with pytest.raises(LockLineFull):
        await locks.acquire(wanted(wait_ms=60_000))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_looking_shows_holder_lease_and_waiters_but_never_the_token(locks: LockService) -> None:
    grant = await locks.acquire(wanted(owner="nightly import"))
    view = await locks.look("x")
    (holder,) = view.holders
    assert (holder.fence, holder.owner, holder.replica) == (grant.fence, "nightly import", "replica1")
    assert 60_000 - 1000 * SLACK_S < holder.lease_left_ms <= 60_000
    assert grant.token not in repr(view)
    assert (await locks.look("free")).holders == ()


async def test_the_operators_list_names_what_is_held_now(locks: LockService) -> None:
    grant = await locks.acquire(wanted("a/b"))
    short = await locks.acquire(wanted("c"))

    async def listed() -> list[str]:
        return sorted(view.lock_id for view in (await locks.held(10))[1])

    async def both() -> bool:
        return await listed() == ["a/b", "c"]

    await eventually(both)
    await locks.release("c", short.token)
    assert await listed() == ["a/b"]
    await locks.release("a/b", grant.token)


async def test_the_operators_list_counts_more_than_one_script_notes(
    locks: LockService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.locks.held.NOTED_AT_ONCE", 10)
    for number in range(25):
        await locks.acquire(wanted(f"lock-{number}"))

    async def all_counted() -> bool:
        total, views = await locks.held(5)
        return (total, len(views)) == (25, 5)

    await eventually(all_counted)


async def test_a_holder_renews_while_it_works(locks: LockService) -> None:
    async with locks.holding(wanted(lease_ms=3000)) as grant:
        await asyncio.sleep(4.3)  # longer than one renewal lasts
        assert (await locks.look("x")).holders[0].fence == grant.fence
    assert (await locks.look("x")).holders == ()


@pytest.mark.parametrize(("lease_ms", "margin_ms"), [(100, 25), (300, 50), (4000, 200), (60_000, 3000)])
def test_a_holder_stops_a_twentieth_of_its_lease_early(lease_ms: int, margin_ms: int) -> None:
    """At least 50 ms, at most a quarter."""
    grant = Grant("x", "token", 1, lease_ms, 0, asked_s=10.0)
    assert grant.safe_until_s == pytest.approx(10 + (lease_ms - margin_ms) / 1000)


async def test_a_holder_that_cannot_renew_stops_before_its_lease_ends(
    own_server: RealServer, open_locks: OpenLocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.locks.model.safety_margin_ms", lambda _: 2000.0)  # for a machine that may stand still
    locks = await open_locks(own_server.url)
    loop = asyncio.get_running_loop()
    stopped_s = 0.0
    granted: Grant | None = None
    with pytest.raises(StanchionError) as aborted:
        async with locks.holding(wanted(lease_ms=4000)) as granted:
            own_server.freeze()
            try:
                await asyncio.sleep(30)
            finally:
                stopped_s = loop.time()
                own_server.thaw()
    assert aborted.value.kind == "hold-aborted"
    assert locks._metrics.lock_losses._value.get() == 1
    assert granted is not None
    assert stopped_s < granted.asked_s + 4.0


async def test_one_refusal_is_one_round_trip(open_locks: OpenLocks, server: RealServer) -> None:
    locks = await open_locks(listen=False, note=False)  # or its list of what is held may come in between
    await locks.acquire(wanted())
    with pytest.raises(LockHeld):
        await locks.acquire(wanted())  # the script is known from here on
    with server.client() as client:
        client.config_resetstat()
        with pytest.raises(LockHeld):
            await locks.acquire(wanted())
        calls = client.info("commandstats")
    assert calls["cmdstat_evalsha"]["calls"] == 1
    assert "cmdstat_eval" not in calls


async def test_scripts_survive_a_script_flush(locks: LockService, server: RealServer) -> None:
    for _ in range(5):
        with server.client() as client:
            client.script_flush()
        grant = await locks.acquire(wanted())
        await locks.release("x", grant.token)
