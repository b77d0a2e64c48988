"""Strict mode: an answer waits for copies, and says so when they do not come."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from app.errors import ConfigError, OutcomeUnknown
from app.metrics import Metrics
from app.settings import Settings
from app.store.store import open_store
from app.tasks.queues import Claim, TaskQueues
from app.tasks.schedules import Schedule, Schedules
from app.tasks.service import open_tasks
from tests.conftest import make_settings
from tests.support.servers import RealServer
from tests.support.waiting import eventually
from tests.tasks.conftest import some


async def queues_on(stack: AsyncExitStack, server: RealServer, **changes: object) -> TaskQueues:
    metrics = Metrics()
    settings: Settings = make_settings(redis_url=server.url, **changes)
    return TaskQueues(await open_store(stack, server.url, metrics), settings, metrics.tasks)


async def test_with_a_replica_that_follows_an_answer_means_two_copies(own_server: RealServer, tmp_path: Path) -> None:
    copy = RealServer(tmp_path / "copy", append_only=True).start()
    try:
        async with AsyncExitStack() as stack:
            queues = await queues_on(stack, own_server, task_strict_replicas=1, task_strict_timeout=5.0)
            with copy.client() as client:
                client.replicaof("127.0.0.1", str(own_server.port))
                await eventually(lambda: client.info("replication")["master_link_status"] == "up", within_s=20)
            await queues.enqueue("default", [some(), some()])
            [task] = await queues.claim(Claim("default", (), 1, "w"))
            [error] = await queues.complete("default", [(task.id, task.token or "", "1")])
            assert error is None
            own_server.kill()
            with copy.client() as client:
                client.replicaof("NO", "ONE")
                assert client.zcard("stanchion:{tasks:default}:done") == 1
                assert client.hget("stanchion:{tasks:default}:meta", "enqueued") == "2"
    finally:
        copy.kill()


async def test_without_enough_copies_the_outcome_is_unknown_and_asking_again_is_harmless(
    own_server: RealServer,
) -> None:
    async with AsyncExitStack() as stack:
        queues = await queues_on(stack, own_server, task_strict_replicas=1, task_strict_timeout=0.1)
        task = some(idempotency="0a1b")
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                await queues.enqueue("default", [task])
        nightly = Schedule("0 4 * * *", "UTC", "report", "1", 1, 3, 0)
        with pytest.raises(OutcomeUnknown):
            await Schedules(queues._store, queues).put("default", "nightly", nightly)
        relaxed = await queues_on(stack, own_server)
        assert (await relaxed.stats("default")).stats.pending == 1


async def test_an_answer_can_wait_for_the_disk(own_server: RealServer) -> None:
    async with AsyncExitStack() as stack:
        queues = await queues_on(stack, own_server, task_strict_fsync=True)
        await queues.enqueue("default", [some()])
        with own_server.client() as client:
            client.script_flush()
            client.config_set("appendonly", "no")
        with pytest.raises(OutcomeUnknown, match="cannot confirm"):
            await queues.enqueue("default", [some()])


async def test_strict_mode_is_refused_on_a_cluster() -> None:
    metrics = Metrics()
    settings = make_settings(redis_url="redis+cluster://127.0.0.1:1", task_strict_replicas=1)
    async with AsyncExitStack() as stack:
        store = await open_store(stack, "redis+cluster://127.0.0.1:1", metrics)
        with pytest.raises(ConfigError, match="Cluster"):
            open_tasks(stack, store, settings, metrics.tasks, "me", lambda: False)
