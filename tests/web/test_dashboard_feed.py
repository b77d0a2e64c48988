"""The dashboard's figures: at a moment, and as they are pushed."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from app.rooms.settings import Method
from app.web.dashboard.feed import MAX_VIEWERS
from tests.conftest import make_settings
from tests.support.dashboard import OWN_PAGE, TOKEN
from tests.support.live import LiveApp, live_app
from tests.support.looks import change
from tests.support.servers import RealServer
from tests.support.waiting import eventually

BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def live(server: RealServer) -> AsyncIterator[LiveApp]:
    settings = make_settings(
        redis_url=server.url, rooms="default,concert", window_size=2, window_interval=600, refresh_interval=0.02
    )
    async with live_app(settings) as served:
        yield served


@pytest.fixture
async def viewer(live: LiveApp) -> AsyncIterator[httpx.AsyncClient]:
    """A signed-in browser."""
    async with signed_in(live) as client:
        yield client


@asynccontextmanager
async def signed_in(live: LiveApp) -> AsyncIterator[httpx.AsyncClient]:
    own = {"Origin": live.url, "Sec-Fetch-Site": "same-origin"}
    async with httpx.AsyncClient(base_url=live.url, headers=own, timeout=20) as client:
        assert (await client.post("/admin/sign-in", data={"token": TOKEN})).status_code == 303
        yield client


async def room_now(live: LiveApp, name: str = "default") -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=live.url, headers=BEARER) as client:
        rooms = (await client.get("/admin/api/overview")).json()["rooms"]
        return next(room for room in rooms if room["room"] == name)


async def news(stream: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in stream.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def join(live: LiveApp, count: int) -> None:
    async with httpx.AsyncClient(base_url=live.url) as client:
        for _ in range(count):
            (await client.post("/join")).raise_for_status()


async def test_the_overview_counts_who_waits_is_on_turn_and_inside(live: LiveApp) -> None:
    await join(live, 5)
    room = await eventually(lambda: _with(live, last=5))
    assert (room["waiting"], room["onTurn"], room["inside"], room["condition"]) == (3, 2, 0, "open")
    assert room["waitLowSeconds"] <= room["waitSeconds"] <= room["waitHighSeconds"]
    assert room["waitSeconds"] > 600, "the fourth of the line comes with the second batch from now"
    empty = await room_now(live, "concert")
    assert empty["waitSeconds"] == 0


async def _with(live: LiveApp, **figures: Any) -> dict[str, Any] | None:
    room = await room_now(live)
    return room if all(room[name] == value for name, value in figures.items()) else None


async def test_the_condition_names_what_matters_first(live: LiveApp) -> None:
    await live.control("close")
    assert (await room_now(live))["condition"] == "closed"
    await live.control("pause")
    paused = await room_now(live)
    assert paused["condition"] == "paused"
    assert "waitSeconds" not in paused
    await live.control("resume")
    await live.control("open")
    await change(live.services, "default", max_waiting=1)
    await join(live, 3)
    await eventually(lambda: _with(live, condition="full"))
    await change(live.services, "default", method=Method.REJECT)
    assert (await room_now(live))["condition"] == "rejecting"


async def test_the_stream_begins_with_everything_and_goes_on_with_what_has_changed(
    live: LiveApp, viewer: httpx.AsyncClient
) -> None:
    async with viewer.stream("GET", "/admin/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store"
        told = news(stream)
        first = await anext(told)
        assert first["everything"] is True and first["storeUp"] is True
        assert [room["room"] for room in first["rooms"]] == ["default", "concert"]
        await live.services.operator.control("concert", "pause", "test")
        async for item in told:
            assert "everything" not in item
            if ("concert", "paused") in [(room["room"], room["condition"]) for room in item["rooms"]]:
                break
        await live.services.operator.delete("concert", "test")
        async for item in told:
            if item["gone"]:
                break
        assert item["gone"] == ["concert"]


async def test_streams_of_a_session_end_when_it_is_signed_out(live: LiveApp, viewer: httpx.AsyncClient) -> None:
    cookie = next(iter(viewer.cookies.jar)).value
    assert cookie is not None
    session = await live.services.sign_ins.session(cookie)
    assert session is not None
    async with viewer.stream("GET", "/admin/events") as stream:
        lines = stream.aiter_lines()
        assert (await anext(lines)).startswith("retry:")
        await live.services.sign_ins.sign_out(session)
        rest = [line async for line in lines]
    assert "event: signed-out" in rest


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}])
async def test_other_sites_get_no_stream_and_strangers_neither(
    viewer: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await viewer.get("/admin/events", headers=headers)).status_code == 403
    viewer.cookies.clear()
    assert (await viewer.get("/admin/events", headers=OWN_PAGE)).status_code == 401


async def test_nothing_is_worked_out_while_nobody_watches(live: LiveApp, viewer: httpx.AsyncClient) -> None:
    feed = live.server.config.app.feed  # type: ignore[union-attr]
    async with viewer.stream("GET", "/admin/events") as stream:
        await anext(news(stream))
        assert feed.viewers == 1
        assert feed.busy
    await eventually(lambda: feed.viewers == 0)
    assert not feed.busy
    async with viewer.stream("GET", "/admin/events") as stream:
        assert (await anext(news(stream)))["everything"] is True, "it wakes up again"


async def test_all_who_watch_are_told_the_same(live: LiveApp, viewer: httpx.AsyncClient) -> None:
    async with (
        signed_in(live) as other,
        viewer.stream("GET", "/admin/events") as one,
        other.stream("GET", "/admin/events") as two,
    ):
        streams = [news(one), news(two)]
        for told in streams:
            assert (await anext(told))["everything"] is True
        await live.services.operator.control("concert", "pause", "test")
        for told in streams:
            async for item in told:
                if any(room["room"] == "concert" and room["paused"] for room in item["rooms"]):
                    break
        assert live.server.config.app.feed.viewers == 2  # type: ignore[union-attr]


async def test_a_replica_takes_only_so_many_dashboards(live: LiveApp, viewer: httpx.AsyncClient) -> None:
    live.server.config.app.feed.viewers = MAX_VIEWERS  # type: ignore[union-attr]
    refused = await viewer.get("/admin/events")
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "5"
    live.server.config.app.feed.viewers = 0  # type: ignore[union-attr]


async def test_a_stream_that_stays_open_is_counted_but_slows_no_figure_of_answers(
    live: LiveApp, viewer: httpx.AsyncClient
) -> None:
    async with viewer.stream("GET", "/admin/events") as stream:
        async for _ in news(stream):
            break

    async def counted() -> str:
        text = (await viewer.get("/metrics")).text
        return text if 'method="GET",route="/admin/events",status="200"' in text else ""

    assert 'stanchion_http_request_seconds_count{route="/admin/events"}' not in await eventually(counted)
