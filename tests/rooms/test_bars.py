"""Whose visit was revoked stays barred, also after Redis has lost the bar: every replica knows of it, and tells it again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from app.errors import JoinsHeld, StoreUnavailable, VisitBarred
from app.rooms import bars
from app.rooms.replies import Reply
from app.rooms.room import Room
from app.rooms.settings import RoomSettings
from app.services import Services
from app.services.visits import Visitor
from app.store import Script, keys
from app.store.scripts import Values
from app.tickets.tickets import Ticket
from tests.conftest import make_settings
from tests.support.apps import running_app
from tests.support.scripts import ScriptedRoom
from tests.support.servers import RealServer
from tests.support.waiting import eventually

BARRED = keys.room_barred("default")
DAY_MS = 86_400_000


class Replica(NamedTuple):
    """One replica, with the room `default`."""

    services: Services
    room: Room

    async def ticket(self) -> Ticket:
        issued = await self.services.visits.join(self.room, None, None)
        assert issued is not None
        return issued.ticket

    async def revoke(self, ticket: Ticket) -> None:
        await self.services.visits.revoke(self.room, Visitor(ticket.epoch, ticket.position))

    def has_heard_of_its_end(self, ticket: Ticket) -> bool:
        mark = self.room.marks.get(ticket.position)
        return mark is not None and mark.kind == "x"

    async def keeps_out(self, ticket: Ticket) -> bool:
        """Whether the holder of a ticket that is over gets no new place here."""
        try:
            place = await self.services.visits.join(self.room, ticket, None)
        except VisitBarred:
            return True
        except JoinsHeld:
            return False
        raise AssertionError(f"it got {place}" if place else "its old place is alive")


Start = Callable[[], Any]


@pytest.fixture
async def start(server: RealServer, patient_store: None) -> AsyncIterator[Start]:
    """Starts replicas; each can be ended before the others."""
    async with AsyncExitStack() as stack:

        @asynccontextmanager
        async def replica() -> AsyncIterator[Replica]:
            settings = make_settings(redis_url=server.url, window_size=5000, refresh_interval=0.05)
            async with running_app(settings) as (_, services):
                room = services.rooms.get("default")
                await eventually(lambda: services.has_snapshot and room.snapshot and not room.snapshot.healing)
                yield Replica(services, room)

        yield lambda: stack.enter_async_context(replica())
    with server.client() as client:
        client.flushall()


def place(ticket: Ticket) -> str:
    return f"{ticket.epoch}-{ticket.position}"


async def test_a_wiped_store_is_told_of_every_bar_again(server: RealServer, start: Start) -> None:
    one, other = [await start() for _ in range(2)]
    barred, free = await one.ticket(), await one.ticket()
    await one.revoke(barred)
    await eventually(lambda: other.room.bars.cursor_ms)
    with server.client() as client:
        until_ms = client.zscore(BARRED, place(barred))
        client.flushall()
        await eventually(lambda: client.zscore(BARRED, place(barred)) == until_ms)
        assert 0 < client.pttl(BARRED) <= DAY_MS
        assert client.zscore(BARRED, place(free)) is None
    newest = await start()
    for replica in (one, other, newest):
        await eventually(lambda replica=replica: replica.keeps_out(barred))


async def test_a_bar_outlives_the_replica_that_set_it_and_the_store_together(server: RealServer, start: Start) -> None:
    other = await start()
    settings = make_settings(redis_url=server.url, window_size=5000, refresh_interval=0.05)
    async with running_app(settings) as (_, services):
        one = Replica(services, services.rooms.get("default"))
        await eventually(lambda: services.has_snapshot and not one.room.snapshot.healing)  # type: ignore[union-attr]
        barred = await one.ticket()
        await one.revoke(barred)
        await eventually(lambda: other.room.bars.cursor_ms and other.has_heard_of_its_end(barred))
    with server.client() as client:
        client.flushall()
        await eventually(lambda: client.zscore(BARRED, place(barred)))
    assert await eventually(lambda: other.keeps_out(barred))


async def test_a_store_that_was_set_back_is_told_what_it_lost(server: RealServer, start: Start) -> None:
    one, other = [await start() for _ in range(2)]
    early, late = await one.ticket(), await one.ticket()
    await one.revoke(early)
    with server.client() as client:
        before = client.dump(BARRED)
        await other.revoke(late)
        expected = client.zrange(BARRED, 0, -1, withscores=True)
        await eventually(lambda: one.room.bars.cursor_ms == expected[-1][1])
        client.restore(BARRED, DAY_MS, before, replace=True)
        client.hset(keys.room_keys("default")["state"], "run_id", "another process")
        await eventually(lambda: client.zrange(BARRED, 0, -1, withscores=True) == expected)
    assert len(expected) == 2


async def test_who_is_known_to_be_barred_is_refused_without_asking_the_store(server: RealServer, start: Start) -> None:
    one, other = [await start() for _ in range(2)]
    barred = await one.ticket()
    await one.revoke(barred)
    await eventually(lambda: other.room.bars.cursor_ms and other.has_heard_of_its_end(barred))
    with server.client() as client:
        client.delete(BARRED)
    assert await one.keeps_out(barred)
    assert await other.keeps_out(barred)


async def test_a_new_replica_learns_of_more_bars_than_one_look_brings(server: RealServer, start: Start) -> None:
    one, many = await start(), 4000
    await asyncio.gather(*(one.room.sessions.end(1, range(i, i + 1000), "", bar_s=3600) for i in range(1, many, 1000)))
    newest = await start()
    await eventually(lambda: len(newest.room.bars._until_ms) == many)
    assert newest.room.bars._until_ms == one.room.bars._until_ms


def by_the_site(replica: Replica, ticket: Ticket) -> Awaitable[Any]:
    return replica.revoke(ticket)


def by_an_operator(replica: Replica, ticket: Ticket) -> Awaitable[Any]:
    return replica.services.operator.end("default", [ticket.position], "ada", bar_s=3600)


@pytest.mark.parametrize("revoke", [by_the_site, by_an_operator])
@pytest.mark.parametrize("answered", range(3))
async def test_a_revoke_that_breaks_off_has_done_all_of_it_or_nothing(
    server: RealServer,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    revoke: Callable[[Replica, Ticket], Awaitable[Any]],
    answered: int,
) -> None:
    """However many words the replica gets in with the store before it is gone; the next try reaches the end."""
    one = await start()
    ticket = await one.ticket()
    run, left = one.services.store.run, answered

    async def break_off(script: Script, names: Values, args: Values, **more: Any) -> Any:
        nonlocal left
        if names.keys() & {"state", "barred"}:  # what else the replica has to say is not about the visit
            if left == 0:
                raise StoreUnavailable
            left -= 1
        return await run(script, names, args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(one.services.store, "run", break_off)
        with suppress(StoreUnavailable):
            await revoke(one, ticket)
    done = keys.room_keys("default")["done"]
    with server.client() as client:
        found = client.zscore(BARRED, place(ticket)) is not None, client.zscore(done, ticket.position) is not None
        assert found in ((False, False), (True, True))
        await revoke(one, ticket)
        assert client.zscore(BARRED, place(ticket))
        assert client.zscore(done, ticket.position)
    assert await one.keeps_out(ticket)


@pytest.fixture
def room(server: RealServer) -> Iterator[ScriptedRoom]:
    with server.client() as client:
        yield ScriptedRoom(client)
        client.flushall()


def bar(room: ScriptedRoom, bar_ms: int, *positions: int) -> Any:
    """Status, and until when the first is barred."""
    return room.end(1, positions, bar_ms=bar_ms)[:2]


def listed(room: ScriptedRoom) -> list[tuple[str, float]]:
    return [(member, score) for member, score in room.client.zrange(BARRED, 0, -1, withscores=True)]


def test_ends_rise_in_the_order_of_the_bars_whatever_their_length(room: ScriptedRoom) -> None:
    room.declare(RoomSettings())
    assert bar(room, 5000, 1, 2) == [0, room.now_ms + 5000]
    room.now_ms -= 100  # another server's clock
    assert bar(room, 1000, 3, 1) == [0, room.now_ms + 5102]
    assert [member for member, _ in listed(room)] == ["1-2", "1-3", "1-1"]
    ends = [until for _, until in listed(room)]
    assert ends == sorted(set(ends))


def test_bars_that_are_over_are_forgotten_and_the_oldest_beyond_the_bound(room: ScriptedRoom) -> None:
    fragment = Path(bars.__file__).parent / "lua" / "_bars.lua"
    room.fragments["bars"] = fragment.read_text().replace(str(bars.MOST_BARRED), "3")
    room.declare(RoomSettings())
    bar(room, 1000, 1, 2)
    room.now_ms += 1000
    bar(room, 1000, 3)
    assert [member for member, _ in listed(room)] == ["1-2", "1-3"]
    bar(room, 1000, 4, 5)
    assert [member for member, _ in listed(room)] == ["1-3", "1-4", "1-5"]


def test_while_the_room_heals_a_revoked_visit_is_neither_ended_nor_barred(room: ScriptedRoom) -> None:
    room.declare(RoomSettings(), heal=True)
    room.join(1)
    assert room.end(1, [1], bar_ms=5000)[0] == Reply.HEALING
    assert listed(room) == []
    assert not room.client.exists(room._keys["done"])


def test_a_place_of_an_earlier_line_is_barred_also_while_the_room_heals(room: ScriptedRoom) -> None:
    room.declare(RoomSettings())
    room.control("reset")
    room.client.hset(room._keys["state"], "run_id", "another process")
    assert room.end(1, [7], bar_ms=5000) == [Reply.OTHER_EPOCH, room.now_ms + 5000]
    assert listed(room) == [("1-7", room.now_ms + 5000)]
    assert room.end(1, [8]) == [Reply.OTHER_EPOCH, 0]
    assert len(listed(room)) == 1


def test_what_is_told_again_neither_shortens_a_bar_nor_revives_one(room: ScriptedRoom) -> None:
    room.declare(RoomSettings())
    _, until_ms = bar(room, 5000, 1)
    told = ["1-1", until_ms - 1000, "1-2", room.now_ms, "1-3", room.now_ms + 500]
    room.run("bar_again", {"barred": BARRED}, {"bars": told})
    assert listed(room) == [("1-3", room.now_ms + 500), ("1-1", until_ms)]


def test_a_replica_forgets_what_is_over_and_no_more_than_the_bound_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "MOST_BARRED", 3)
    known = bars.Bars("default", None, {})  # type: ignore[arg-type]
    known.take([f"1-{number}:{1000 + number}" for number in range(1, 6)], 0)
    assert list(known._until_ms) == ["1-3", "1-4", "1-5"]
    assert known.cursor_ms == 1005
    known.take([], 1004)
    assert list(known._until_ms) == ["1-5"]
