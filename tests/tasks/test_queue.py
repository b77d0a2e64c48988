"""What the queue promises, one promise a test, on a real store."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from app.store import Store
from app.tasks.policy import ROTATION
from app.tasks.queues import Claim, TaskQueues
from app.tasks.schedules import Schedule
from app.tasks.service import TaskService
from tests.support.servers import RealServer
from tests.support.waiting import SLACK_S, eventually
from tests.tasks.conftest import ANY, NOW_MS, service_on, some
from tests.tasks.looking import FAKE_NOW, Scripts, check_invariants, set_now


async def test_a_low_task_is_served_within_one_rotation_under_a_flood_of_high_ones(service: TaskService) -> None:
    await service.queues.enqueue("default", [some("slow", 2), *(some("quick", 0) for _ in range(50))])
    claimed = await service.queues.claim(Claim("default", (), len(ROTATION), "w"))
    assert [task.priority for task in claimed].count("low") == 1
    assert sum(task.priority == "high" for task in claimed) == len(ROTATION) - 1


async def test_a_low_task_of_a_special_type_is_not_starved_by_claims_that_alternate(service: TaskService) -> None:
    await service.queues.enqueue(
        "default", [some("rare", 2), *(some("rare", 0) for _ in range(40)), *(some("common", 0) for _ in range(40))]
    )
    seen = []
    for _ in range(len(ROTATION)):
        await service.queues.claim(Claim("default", ("common",), 1, "w"))
        seen += await service.queues.claim(Claim("default", ("rare",), 1, "w"))
    assert [task.priority for task in seen].count("low") == 1


async def test_workers_that_ask_for_ever_new_types_leave_no_trail(service: TaskService, server: RealServer) -> None:
    turns = "stanchion:{tasks:default}:turns"
    with server.client() as client:
        client.hset(turns, mapping={f"order-{number}": 1 for number in range(1001)})
        await service.queues.enqueue("default", [some("order-5000")])
        assert await service.queues.claim(Claim("default", ("order-5000",), 1, "w"))
        assert client.hgetall(turns) == {"order-5000": "1"}


async def test_concurrent_grabs_are_disjoint(service: TaskService) -> None:
    await service.queues.enqueue("default", [some() for _ in range(30)])
    grabs = await asyncio.gather(*(service.queues.claim(ANY) for _ in range(45)))
    taken = [tasks[0].id for tasks in grabs if tasks]
    assert len(taken) == len(set(taken)) == 30


async def test_a_lease_that_ran_out_brings_the_task_back_to_the_front_uncounted(
    looked_after: TaskService, server: RealServer
) -> None:
    queues = looked_after.queues
    await queues.enqueue("default", [some(lease_ms=1000), some()])
    [first] = await queues.claim(ANY)
    assert first.until_ms is not None
    again = await looked_after.dispatcher.claim(Claim("default", ("email",), 2, "w"), 0)
    await queues.release("default", [(task.id, task.token or "") for task in again])
    back = await eventually(lambda: _claim_of(queues, first.id), within_s=1.5 + SLACK_S)
    assert (back.id, back.retries, back.expiries, back.attempts) == (first.id, 0, 1, 2)
    [refused] = await queues.complete("default", [(first.id, first.token or "", "1")])
    assert refused is not None
    with server.client() as client:
        check_invariants(client, "default")


async def _claim_of(queues: TaskQueues, task_id: str) -> Any:
    [task] = await queues.claim(ANY) or [None]
    if task is not None and task.id != task_id:
        await queues.release("default", [(task.id, task.token or "")])
        return None
    return task


async def test_a_task_whose_leases_keep_running_out_goes_to_the_dead_letters(
    looked_after: TaskService, tmp_path: Path
) -> None:
    task = some(lease_ms=50)
    await looked_after.queues.enqueue("default", [task])
    for _ in range(2):
        await eventually(lambda: looked_after.queues.claim(ANY))
    dead = await eventually(lambda: _in_state(looked_after, task.id, "dead"))
    assert (dead.reason, dead.expiries, dead.retries) == ("lease", 2, 0)
    assert "ran out 2 times" in (dead.error or "")


async def _in_state(service: TaskService, task_id: str, state: str) -> Any:
    task = await service.queues.look("default", task_id)
    return task if task.state == state else None


async def test_heartbeats_keep_a_lease(timed_store: Store, server: RealServer) -> None:
    service = service_on(timed_store, task_lease=1.0)
    await service.queues.enqueue("default", [some()])
    [task] = await service.queues.claim(ANY)
    assert task.until_ms == NOW_MS + 1000
    with server.client() as client:
        for now_ms in range(NOW_MS + 900, NOW_MS + 4500, 900):
            set_now(client, now_ms)
            await service.housekeeping.step(["default"])
            assert await service.queues.extend("default", task.id, task.token or "") == now_ms + 1000
    [error] = await service.queues.complete("default", [(task.id, task.token or "", "1")])
    assert error is None


async def test_no_task_runs_before_its_time_and_none_much_after(looked_after: TaskService) -> None:
    await looked_after.queues.enqueue("default", [some(delay_ms=700)])
    [task] = await asyncio.wait_for(looked_after.dispatcher.claim(ANY, 10), 10)
    assert task.started_ms is not None
    assert 0 <= task.started_ms - task.due_ms <= 1000 * (1 + SLACK_S)


async def test_finished_tasks_are_kept_within_count_bytes_and_age(server: RealServer) -> None:
    with server.client() as client:
        run = Scripts(client, fragments={"now": FAKE_NOW})
        set_now(client, 1_000_000)

        def finish(number: int, **limits: int) -> None:
            id_ = f"t{number}"
            run("enqueue", remember_ms=1, entries=[id_, "a", '"p"', 1, 0, 0, 3, 0, ""])
            keep = {"keep_dead_ms": 10**9, "keep_dead_count": 10}
            run("claim", count=1, lease_ms=99, worker="w", arm=0, rotation="0", max_expiries=3, types=[], **keep)
            given = {"keep_ms": 10_000, "keep_count": 100, "keep_bytes": 10**9} | limits
            run("complete", need_token=0, entries=[id_, "", '"' + "x" * 498 + '"'], **given)

        def kept() -> int:
            return int(client.zcard("stanchion:{tasks:default}:done"))

        for number in range(20):
            finish(number, keep_count=5)
            assert kept() <= 5
        for number in range(20, 30):
            finish(number, keep_bytes=4000)
        assert kept() == 3
        check_invariants(client, "default")
        set_now(client, 1_010_001)
        limits = {"keep_ms": 10_000, "keep_count": 100, "keep_bytes": 10**9}
        run("maintain", bound=200, max_expiries=1, log_ms=0, keep_dead_ms=1, keep_dead_count=1, **limits)
        assert kept() == 0
        check_invariants(client, "default")
        client.delete("stanchion:test:now")


async def test_what_is_finished_goes_by_trimming_alone(service: TaskService, server: RealServer) -> None:
    """A TTL of its own would take a task away behind the counters' back while no replica runs."""
    await service.queues.enqueue("default", [some(), some(max_retries=1)])
    well, badly = await service.queues.claim(Claim("default", (), 2, "w"))
    await service.queues.complete("default", [(well.id, well.token or "", "1")])
    await service.queues.fail("default", badly.id, badly.token or "", "no", final=True, delay_ms=None)
    with server.client() as client:
        assert [client.ttl(f"stanchion:{{tasks:default}}:t:{task.id}") for task in (well, badly)] == [-1, -1]


async def test_dead_letters_are_written_to_the_log_once(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    one, other = (service_on(store, replica, dead_letter_log=path) for replica in ("one", "other"))
    await one.queues.enqueue("default", [some(max_retries=1) for _ in range(3)])
    assert not await one.housekeeping.step(["default"])
    for task in await one.queues.claim(Claim("default", (), 3, "w")):
        await one.queues.fail("default", task.id, task.token or "", "no luck", final=False, delay_ms=None)
    for service in (one, other, one, other):
        await service.housekeeping.write_dead_letters("default", path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["error"], line["payload"], line["retries"]) for line in lines] == [("no luck", {"n": 1}, 1)] * 3


async def test_a_schedule_ticks_once_whatever_the_replicas_and_catches_up_with_one(
    timed_store: Store, server: RealServer
) -> None:
    replicas = [service_on(timed_store) for _ in range(3)]
    schedule = Schedule("* * * * *", "UTC", "tick", "1", 1, 3, 0)
    missed_ms = await replicas[0].schedules.put("default", "often", schedule)
    with server.client() as client:
        set_now(client, missed_ms + 10 * 60_000)
        await asyncio.gather(*(replica.housekeeping.step(["default"]) for replica in replicas for _ in range(3)))
        assert client.zscore("stanchion:{tasks:default}:ticks", "often") > missed_ms + 9 * 60_000
        check_invariants(client, "default")
    [task] = await replicas[0].queues.claim(Claim("default", (), 5, "w"))
    assert task.id == f"cron-often-{missed_ms}"


async def test_a_schedule_that_cannot_be_read_here_does_not_hold_up_the_others(
    service: TaskService, server: RealServer
) -> None:
    schedules = service.schedules
    for name in ("a", "b", "c"):
        await schedules.put("default", name, Schedule("* * * * *", "UTC", "tick", "1", 1, 3, 0))
    with server.client() as client:
        kept = json.loads(client.hget("stanchion:{tasks:default}:schedules", "a")) | {"timezone": "Mars/Olympus"}
        client.hset("stanchion:{tasks:default}:schedules", "a", json.dumps(kept))
        client.zadd("stanchion:{tasks:default}:ticks", {name: 60_000 * i for i, name in enumerate("abc", 1)})
    assert not await service.housekeeping.step(["default"])
    ids = {task.id for task in await service.queues.claim(Claim("default", (), 5, "w"))}
    assert ids == {"cron-b-120000", "cron-c-180000"}


async def test_a_reset_leaves_nothing_but_the_fence(service: TaskService, server: RealServer) -> None:
    await service.queues.enqueue("default", [some(), some(delay_ms=5000), some("image", 0)])
    [task] = await service.queues.claim(ANY)
    await service.queues.complete("default", [(task.id, task.token or "", "1")])
    await service.queues.claim(ANY)
    assert await service.queues.reset("default") == 3
    with server.client() as client:
        left = sorted(client.scan_iter())
        assert left == ["stanchion:tasks:queues", "stanchion:{tasks:default}:meta"]
        assert list(client.hgetall("stanchion:{tasks:default}:meta")) == ["fence"]


async def test_a_reset_finds_what_changes_its_place_meanwhile(
    service: TaskService, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues = service.queues
    await queues.enqueue("default", [some(), some()])
    delete_all, held = queues.delete_all, await queues.claim(ANY)
    moves = {"leased", "ready"}

    async def slowly(queue: str, state: str) -> int:
        deleted = await delete_all(queue, state)
        if state in moves:
            moves.remove(state)
            if state == "leased":
                held[:] = await queues.claim(ANY) or held
            else:
                await queues.release("default", [(task.id, task.token or "") for task in held])
        return deleted

    monkeypatch.setattr(queues, "delete_all", slowly)
    assert await queues.reset("default") == 2
    assert (await queues.stats("default")).by_state_and_type == {}


async def test_emptying_a_state_ends_though_more_comes_in(
    service: TaskService, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues, change = service.queues, service.queues.change

    async def with_more(script: str, queue: str, **args: Any) -> Any:
        reply = await change(script, queue, **args)
        if script == "delete":
            await queues.enqueue("default", [some()])
        return reply

    await queues.enqueue("default", [some(f"type-{number % 3}", number % 2) for number in range(600)])
    monkeypatch.setattr(queues, "change", with_more)
    assert 600 <= await asyncio.wait_for(queues.delete_all("default", "ready"), 10) <= 602
