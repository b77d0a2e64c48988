"""The page of those who have no place: made once for a crowd, and never one that shows something else than it should."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from app.rooms.room import Room
from app.services import Services
from app.web import pages
from app.web.page_html import Packed
from app.web.shared_pages import MAX_PAGES, SharedPages
from tests.conftest import make_settings
from tests.support.apps import running_app, settled
from tests.support.looks import look_like
from tests.support.servers import RealServer
from tests.support.waiting import eventually

ENGLISH = {"Accept-Language": "en", "Accept-Encoding": "gzip"}

App = tuple[httpx.AsyncClient, Services]


def state_of(page: httpx.Response) -> str:
    """What the page shows."""
    return page.text.partition('<body data-state="')[2].partition('"')[0]


@pytest.fixture
async def app(server: RealServer) -> AsyncIterator[App]:
    """A service with two rooms."""
    settings = make_settings(redis_url=server.url, rooms="default,concert", refresh_interval=0.02)
    async with running_app(settings) as served:
        await eventually(lambda: settled(served[1]))
        yield served


@pytest.fixture
def one_moment(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the replica hears of its rooms, and nothing new."""

    def hear(room: Room, _: list[Any]) -> None:
        room._heard_s = room._clock.monotonic_s()

    monkeypatch.setattr(Room, "take", hear)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rooms whose page was filled in, in order."""
    rooms: list[str] = []
    view = pages.page_view

    def noted(request: Any, room: Any, *rest: Any) -> Any:
        rooms.append(room.name)
        return view(request, room, *rest)

    monkeypatch.setattr(pages, "page_view", noted)
    return rooms


@pytest.mark.usefixtures("one_moment")
async def test_a_crowd_of_newcomers_costs_one_page(app: App, made: list[str]) -> None:
    client = app[0]
    answers = [await client.get("/", headers=ENGLISH) for _ in range(20)]
    assert made == ["default"]
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


@pytest.mark.usefixtures("one_moment")
@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("/rooms/concert", ENGLISH),
        ("/rooms/default", ENGLISH),
        ("/", {**ENGLISH, "Accept-Language": "de"}),
        ("/?lang=fr", ENGLISH),
        ("/?target=%2Fseats", ENGLISH),
        ("/?problem=room-full", ENGLISH),
        ("/?problem=no-such-word", ENGLISH),
        ("/", {**ENGLISH, "Accept-Encoding": "identity"}),
        ("/", {**ENGLISH, "Cookie": "stanchion-target-default=%2Fseats"}),
    ],
)
async def test_whoever_asks_for_something_else_gets_it(app: App, address: str, headers: dict[str, str]) -> None:
    client = app[0]
    alone = await client.get(address, headers=headers)
    client.cookies.clear()
    usual = await client.get("/", headers=ENGLISH)
    after = await client.get(address, headers=headers)
    assert after.content == alone.content
    assert (after.text, after.headers.get("content-encoding")) != (usual.text, usual.headers.get("content-encoding"))


@pytest.mark.usefixtures("one_moment")
async def test_whoever_has_a_place_sees_their_own_and_nobody_else_does(app: App, made: list[str]) -> None:
    client = app[0]
    first = await client.get("/", headers=ENGLISH)
    ticket = (await client.post("/join")).json()["token"]
    client.cookies.clear()
    assert state_of(first) == "none"
    for _ in range(2):
        mine = await client.get("/", headers={**ENGLISH, "Cookie": f"stanchion-ticket-default={ticket}"})
        assert state_of(mine) == "active"
        client.cookies.clear()
        assert state_of(await client.get("/", headers=ENGLISH)) == "none"
    assert len(made) == 3, "a page with a place is never a shared one"


async def test_what_an_operator_changes_is_on_the_next_page(app: App) -> None:
    client, services = app
    assert "Lantern Hall" not in (await client.get("/", headers=ENGLISH)).text
    await look_like(services, {"title": "Lantern Hall"})
    assert "Lantern Hall" in (await client.get("/", headers=ENGLISH)).text
    await services.operator.control("default", "close", "test")
    await eventually(lambda: services.rooms.get("default").snapshot.closed)  # type: ignore[union-attr]
    assert state_of(await client.get("/", headers=ENGLISH)) == "closed"


@pytest.mark.parametrize("part", ["snapshot", "stale", "settings"])
def test_a_room_that_is_not_what_it_was_gets_another_page(part: str) -> None:
    shared = SharedPages()
    room: Any = SimpleNamespace(name="default", snapshot=object(), stale=False, settings=object())
    old, new = Packed(b"old", False), Packed(b"new", False)
    assert shared.page(room, "about", lambda: old) is old
    assert shared.page(room, "about", lambda: new) is old
    setattr(room, part, True if part == "stale" else object())
    assert shared.page(room, "about", lambda: new) is new
    assert shared.page(room, "about", lambda: old) is new


def test_however_many_different_pages_are_asked_for_few_are_kept() -> None:
    shared = SharedPages()
    room: Any = SimpleNamespace(name="default", snapshot=object(), stale=False, settings=object())
    for number in range(3 * MAX_PAGES):
        shared.page(room, f"target {number}", lambda: Packed(b"page", False))
    assert len(shared._kept) == MAX_PAGES
