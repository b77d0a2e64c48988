"""What `Store` promises holds on one server, behind Sentinel and on a cluster."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from app.errors import StateUnreadable, StoreUnavailable
from app.store import Call, Script, Store, keys
from app.store.connect import MAX_CONNECTIONS
from app.store.reply_errors import is_unreadable
from tests.store.conftest import opened
from tests.support.servers import RealServer
from tests.support.waiting import eventually


@pytest.fixture
def packets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """How many packets of commands have been sent since the last time it was asked."""
    sent = 0
    send = AbstractConnection.send_packed_command

    async def counting(self: Any, *args: Any, **options: Any) -> None:
        nonlocal sent
        sent += 1
        await send(self, *args, **options)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", counting)

    def since_last_time() -> int:
        nonlocal sent
        count, sent = sent, 0
        return count

    yield since_last_time


def calls(script: Script, count: int) -> list[Call]:
    return [Call(script, {"counter": f"{{tag-{i}}}:n"}, {"count": i + 1}) for i in range(count)]


async def test_many_scripts_take_one_round_trip_per_node_and_keep_their_order(
    any_store: Store, add: Script, store_url: str, packets: Callable[[], int]
) -> None:
    assert await any_store.run_many(calls(add, 30)) == [i + 1 for i in range(30)]
    packets()
    assert await any_store.run_many(calls(add, 30)) == [2 * (i + 1) for i in range(30)]
    assert packets() == (3 if "cluster" in store_url else 1)
    assert await any_store.run(add, {"counter": "{tag-0}:n"}, {"count": 1}) == 3
    assert packets() == 1


async def test_a_server_that_forgot_the_scripts_learns_them_again_and_runs_each_once(
    any_store: Store, add: Script
) -> None:
    await any_store.run_many(calls(add, 6))
    await any_store.command(lambda: any_store.client.script_flush())
    assert await any_store.run(add, {"counter": "{tag-0}:n"}, {"count": 1}) == 2
    await any_store.command(lambda: any_store.client.script_flush())
    assert await any_store.run_many(calls(add, 6)) == [3, 4, 6, 8, 10, 12]


async def test_one_scripts_error_stands_in_its_place_and_spoils_no_other(any_store: Store, add: Script) -> None:
    wanted = calls(add, 5)
    wanted[2] = Call(add, {"counter": "{tag-2}:n"}, {"count": 0})
    replies = await any_store.run_many(wanted)
    assert isinstance(replies.pop(2), ResponseError)
    assert replies == [1, 2, 4, 5]
    with pytest.raises(ResponseError, match="NOTHING"):
        await any_store.run(add, {"counter": "{tag-2}:n"}, {"count": 0})


async def test_a_key_of_another_type_is_named_once_and_is_no_outage(any_store: Store, add: Script) -> None:
    await any_store.command(lambda: any_store.client.rpush("{tag-2}:n", "not ours"))
    with capture_logs() as lines:
        replies = await any_store.run_many(calls(add, 5))
        assert isinstance(replies.pop(2), StateUnreadable)
        assert replies == [1, 2, 4, 5]
        for _ in range(3):
            with pytest.raises(StateUnreadable):
                await any_store.run(add, {"counter": "{tag-2}:n"}, {"count": 1})
        with pytest.raises(StateUnreadable):
            await any_store.command(lambda: any_store.client.incr("{tag-2}:n"), about=["{tag-2}:n"])
        await eventually(lambda: [(line["event"], line.get("keys")) for line in lines] == [NAMED])
    await any_store.command(lambda: any_store.client.delete("{tag-2}:n"))
    assert await any_store.run(add, {"counter": "{tag-2}:n"}, {"count": 1}) == 1


NAMED = ("state_unreadable", ["{tag-2}:n"])


def test_what_cannot_be_read_is_told_by_the_error_and_not_by_the_key() -> None:
    inside = " script: 0123456789abcdef0123456789abcdef01234567, on @user_script:7."
    for text in (
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        "WRONGTYPE Operation against a key holding the wrong kind of value" + inside,
        "value is not an integer or out of range",
        "user_script:7: attempt to compare nil with number" + inside,
        "user_script:7: attempt to compare nil with number script: on @user_script:7.",
    ):
        assert is_unreadable(ResponseError(text)), text
    for error in (
        ResponseError("unknown command 'ZMSCORE'"),
        ResponseError("NOTHING to count"),
        ValueError("WRONGTYPE"),
    ):
        assert not is_unreadable(error)


def test_the_schema_names_the_type_of_every_key() -> None:
    room = {part: keys.type_of(name) for part, name in keys.room_keys("late-show").items()}
    assert room == {"state": "hash"} | dict.fromkeys(keys.ROOM_PARTS[1:], "zset")
    assert keys.type_of(keys.room_audit("a_b")) == "list"
    assert keys.type_of(keys.room_identity("sale", "x" * 32)) == "string"
    assert keys.type_of(keys.ROOMS_INDEX) == "hash"
    assert keys.type_of(keys.task("mails", "1")) == "hash"
    assert keys.type_of(keys.task_queue("mails", "ready:1:send")) == "zset"
    assert keys.type_of(keys.lock_keys("a{b}:c")["fence"]) == "string"
    assert keys.type_of("somebody:elses") == ""


async def test_more_calls_at_once_than_connections_wait_for_their_turn(any_store: Store, echo: Script) -> None:
    # First those that open the connections, which takes much longer than a call: nobody waits for more than half a second.
    for count in (MAX_CONNECTIONS // 2, MAX_CONNECTIONS, MAX_CONNECTIONS + 30):
        replies = await asyncio.gather(
            *(any_store.run(echo, {"key": f"{{{i}}}"}, {"word": f"w{i}", "rounds": 0}) for i in range(count))
        )
        assert replies == [f"w{i}".encode() for i in range(count)]


async def test_a_thousand_cancelled_calls_put_no_connection_out_of_step(any_store: Store, echo: Script) -> None:
    async def ask(word: str, leave_after: int | None) -> None:
        asking = asyncio.ensure_future(any_store.run(echo, {"key": f"{{{word}}}"}, {"word": word, "rounds": 2000}))
        if leave_after is None:
            assert await asking == word.encode()
            return
        for _ in range(leave_after):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        if not asking.cancelled():
            assert asking.result() == word.encode()

    for batch in range(50):
        await asyncio.gather(*(ask(f"{batch}-{i}", None if i % 3 == 0 else i) for i in range(30)))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(leaving=st.lists(st.none() | st.integers(0, 40), min_size=1, max_size=40))
def test_every_reply_belongs_to_its_call_whoever_leaves(
    server: RealServer, echo: Script, leaving: list[int | None]
) -> None:
    async def scenario() -> None:
        async with opened(server.url) as store:

            async def ask(number: int, leave_after: int | None) -> None:
                call = Call(echo, {"key": "k"}, {"word": f"word-{number}", "rounds": 300 * (number % 5)})
                asking = asyncio.ensure_future(store.run_many([call]))
                for _ in range(leave_after or 0):
                    await asyncio.sleep(0)
                if leave_after is not None:
                    asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
                if not asking.cancelled():
                    assert asking.result() == [f"word-{number}".encode()]

            await asyncio.gather(*(ask(number, leave_after) for number, leave_after in enumerate(leaving)))

    asyncio.run(scenario())


async def test_a_message_reaches_a_subscriber_of_the_blocking_client(any_store: Store) -> None:
    pubsub = await any_store.pubsub()
    await pubsub.subscribe("stanchion:test")

    async def heard() -> Any:
        await any_store.command(lambda: any_store.client.publish("stanchion:test", "hello"))
        return await pubsub.get_message(ignore_subscribe_messages=True, timeout=0.2)

    assert (await eventually(heard))["data"] == b"hello"
    await pubsub.aclose()


async def test_writing_to_a_connection_that_has_just_been_closed_says_that_the_store_is_away(
    any_store: Store, echo: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    async def ask(word: str) -> Any:
        return await any_store.run(echo, {"key": "k"}, {"word": word, "rounds": 0})

    first = await ask("a")
    with monkeypatch.context() as broken:
        broken.setattr(AbstractConnection, "send_packed_command", refuse)
        with pytest.raises(StoreUnavailable):
            await ask("b")
    assert await ask("a") == first
