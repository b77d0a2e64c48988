"""A store that is down, hung, loading or locked answers `StoreUnavailable` soon, and is used again by itself."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from app.errors import StoreUnavailable
from app.store import Call, Script, Store
from tests.conftest import make_settings
from tests.store.conftest import opened
from tests.support.apps import running_app
from tests.support.servers import RealServer, free_port
from tests.support.waiting import SLACK_S, eventually

SOON_S = 1 + SLACK_S
"""Far below the minute that redis-py would take, far above the 0.9 s that the store allows itself."""

NOBODY_THERE = [
    "redis://127.0.0.1:{0}",
    "unix:///nowhere/valkey-{0}.sock",
    "redis+sentinel://127.0.0.1:{0},127.0.0.1:{1}/mymaster",
    "redis+cluster://127.0.0.1:{0},127.0.0.1:{1}",
]


async def refused(store: Store, add: Script) -> None:
    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(store.run(add, {"counter": "n"}, {"count": 1}), SOON_S)


async def answers(store: Store, add: Script, key: str = "n") -> bool:
    return bool(await store.run(add, {"counter": key}, {"count": 1}))


@pytest.mark.parametrize("url", NOBODY_THERE)
async def test_nobody_there_is_said_soon_and_stops_no_start(url: str, add: Script) -> None:
    url = url.format(free_port(), free_port())
    async with opened(url) as store:
        await refused(store, add)
    async with running_app(make_settings(redis_url=url)) as (client, _):
        assert (await client.get("/livez")).status_code == 200


async def test_a_server_that_comes_later_is_used_as_soon_as_it_is_there(own_server: RealServer, add: Script) -> None:
    own_server.stop()
    async with opened(own_server.url) as store:
        await refused(store, add)
        own_server.start()
        assert await answers(store, add)


async def test_a_restart_between_two_calls_goes_unnoticed(own_server: RealServer, add: Script) -> None:
    async with opened(own_server.url) as store:
        await asyncio.gather(*(answers(store, add) for _ in range(20)))
        own_server.stop()
        own_server.start()
        assert all(await asyncio.gather(*(answers(store, add) for _ in range(20))))


async def test_a_hung_server_is_given_up_and_nothing_is_done_twice(own_server: RealServer, add: Script) -> None:
    async with opened(own_server.url) as store:
        assert await answers(store, add)
        own_server.freeze()
        # More callers than connections: those that find none are turned away as well.
        await asyncio.gather(*(refused(store, add) for _ in range(100)))
        own_server.thaw()
        await eventually(lambda: answers(store, add, "other"))
        with own_server.client() as client:
            assert int(client.get("n")) <= 101


async def test_one_unanswered_increment_happens_once_at_most(own_server: RealServer, add: Script) -> None:
    async with opened(own_server.url) as store:
        assert await answers(store, add, "warm")
        own_server.freeze()
        await refused(store, add)
        own_server.thaw()
        await eventually(lambda: answers(store, add, "warm"))
        with own_server.client() as client:
            assert client.get("n") in (None, "1")


async def test_a_server_that_still_loads_is_away_until_it_has(tmp_path: Path, add: Script) -> None:
    server = RealServer(tmp_path / "store", append_only=True, aof_use_rdb_preamble="no").start()
    with server.client() as client:
        client.eval("for i = 1, 100000 do redis.call('SET', 'k' .. i, 'x') end", 0)
    server.stop()
    server.options |= {
        "key-load-delay": "200"
    }  # in µs; it listens to clients every 1024 commands, and takes half a minute
    server.start(wait=False)
    try:
        with server.client() as client:
            await eventually(lambda: client.info("persistence")["loading"])
            async with opened(server.url) as store:
                await refused(store, add)
                assert client.info("persistence")["loading"], "it has not come to its end meanwhile"
                client.config_set("key-load-delay", 0)
                await eventually(lambda: answers(store, add))
    finally:
        server.kill()


async def test_a_wrong_password_is_an_outage_that_heals_when_it_is_right(own_server: RealServer, add: Script) -> None:
    with own_server.client() as client:
        client.config_set("requirepass", "the-right-one")
        async with opened(f"redis://:the-wrong-one@127.0.0.1:{own_server.port}") as store:
            await refused(store, add)
            client.config_set("requirepass", "the-wrong-one")
            assert await answers(store, add)


async def test_a_password_that_was_not_said_is_an_outage_for_calls_of_every_length(own_server: RealServer) -> None:
    with own_server.client() as client:
        client.config_set("requirepass", "a-password")
        async with opened(own_server.url) as store:
            for length in (1, 100):
                keys = [f"k{i}" for i in range(length)]
                with pytest.raises(StoreUnavailable):
                    await store.command(lambda keys=keys: store.client.mget(keys))


async def test_a_read_only_server_is_away_until_it_takes_writes(own_server: RealServer, add: Script) -> None:
    with own_server.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", str(free_port()))
        async with opened(own_server.url) as store:
            await refused(store, add)
            client.execute_command("REPLICAOF", "NO", "ONE")
            assert await answers(store, add)


def fill_up(client: Any) -> None:
    client.config_set("maxmemory", "1")


def make_room(client: Any) -> None:
    client.config_set("maxmemory", "0")


def forbid_writing(client: Any) -> None:
    client.execute_command("ACL", "SETUSER", "default", "-incrby")


def allow_writing(client: Any) -> None:
    client.execute_command("ACL", "SETUSER", "default", "+incrby")


def ask_for_copies(client: Any) -> None:
    client.config_set("min-replicas-to-write", "1")


def ask_for_none(client: Any) -> None:
    client.config_set("min-replicas-to-write", "0")


Step = Callable[[Any], None]


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (fill_up, make_room),
        (forbid_writing, allow_writing),
        (ask_for_copies, ask_for_none),
    ],
    ids=["full", "without-the-right", "without-copies"],
)
async def test_a_server_that_will_not_do_it_now_is_away_until_it_does(
    own_server: RealServer, add: Script, begin: Step, end: Step
) -> None:
    with own_server.client() as client:
        async with opened(own_server.url) as store:
            assert await answers(store, add, "other")
            begin(client)
            await refused(store, add)
            with pytest.raises(StoreUnavailable):
                await store.run_many([Call(add, {"counter": "n"}, {"count": 1})])
            end(client)
            assert await answers(store, add)


async def test_a_server_that_is_busy_with_a_script_is_away_until_it_is_done(
    own_server: RealServer, add: Script
) -> None:
    with own_server.client() as client:
        client.config_set("busy-reply-threshold", "20")

        def keep_busy() -> None:
            with own_server.client() as other, suppress(redis.RedisError):
                other.eval("while true do end", 0)

        async with opened(own_server.url) as store:
            assert await answers(store, add)
            busy = asyncio.create_task(asyncio.to_thread(keep_busy))

            async def is_refused() -> bool:
                with suppress(StoreUnavailable):
                    return not await answers(store, add)
                return True

            await eventually(is_refused, within_s=SOON_S)
            await eventually(client.script_kill)
            await busy
            assert await eventually(lambda: answers(store, add))
