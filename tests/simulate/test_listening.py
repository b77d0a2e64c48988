"""Visitors who listen to the room's news instead of asking again and again."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import httpx
import pytest

from app.simulate.crowd.checks import check_all
from app.simulate.crowd.journeys import Outcome, journeys_of
from app.simulate.crowd.plan import Kind, Wish, plan_crowd
from app.simulate.crowd.player import Player
from app.simulate.crowd.record import Act, Recording
from tests.conftest import SECRET
from tests.simulate.conftest import TOKEN, make_room, simulate_crowd
from tests.simulate.fake_room import FakeRoom, fake_room
from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.waiting import eventually


async def play(room: FakeRoom, kind: Kind = Kind.PATIENT, *, patience_s: float = 30.0) -> Recording:
    wish = Wish(1, 1, over_s=0.0, patience_s=patience_s, stay_s=0.1, mix={kind: 1}, listening=100)
    player = Player(wish, "default", [room.url])
    try:
        return await player.play(20.0, asyncio.Event(), lambda *_: None)
    finally:
        player.close()


def acts(recording: Recording) -> list[str]:
    return [event.act.value for event in recording.events]


def verdict_of(recording: Recording, name: str) -> bool | None:
    verdicts = check_all(recording, journeys_of(recording.visitors, recording.events))
    return next(verdict.holds for verdict in verdicts if verdict.name == name)


async def test_who_listens_asks_when_the_news_say_that_the_turn_has_come() -> None:
    news = [(0.0, {}), (0.3, {"last": 7}), (0.7, {"serving": 1})]
    async with fake_room(turn_after=1, news=news) as room:
        recording = await play(room)
        (joined_s,), (listened_s,), (asked_s,) = room.times("join"), room.times("events"), room.times("status")
    assert acts(recording) == ["join", "listen", "status", "enter", "leave"]
    assert joined_s < listened_s
    assert asked_s - listened_s >= 0.99, "the room asks to be polled every 0.05 s, and the news spare it that"
    assert recording.heard == 3
    assert verdict_of(recording, "news") is True


@pytest.mark.parametrize("changes", [{"epoch": 2}, {"paused": True}], ids=["another-line", "a-pause"])
async def test_news_of_another_kind_are_reason_to_ask_as_well(changes: dict[str, Any]) -> None:
    async with fake_room(turn_after=1, news=[(0.0, {}), (0.4, changes)]) as room:
        recording = await play(room)
    assert acts(recording) == ["join", "listen", "status", "enter", "leave"]


async def test_where_who_asks_late_is_passed_over_the_polls_come_as_told() -> None:
    async with fake_room(turn_after=4, news=[(0.0, {"passesOver": True})]) as room:
        recording = await play(room)
        polls = room.times("status")
    assert len(polls) == 4
    assert all(later - sooner < 10 for sooner, later in pairwise(polls)), "every 0.05 s, and not every twenty seconds"
    assert len(room.times("events")) == 1
    assert recording.events[-1].act is Act.LEAVE


async def test_a_refused_stream_leaves_the_polls_as_they_are() -> None:
    def refuse(verb: str, _: int) -> tuple[int, str, int] | None:
        return (503, "too-busy", 15) if verb == "events" else None

    async with fake_room(turn_after=4, refuse=refuse) as room:
        recording = await play(room)
        polls = room.times("status")
    assert len(room.times("events")) == 1
    assert len(polls) == 4
    assert all(later - sooner < 10 for sooner, later in pairwise(polls))
    listened = next(event for event in recording.events if event.act is Act.LISTEN)
    assert listened.http == 503


async def test_after_a_stream_has_broken_off_there_is_another_one() -> None:
    async with fake_room(turn_after=20, news=[(0.0, {}), (0.2, None)]) as room:
        recording = await play(room)
        assert len(room.times("events")) > 1
    assert [journey.outcome for journey in journeys_of(recording.visitors, recording.events)] == [Outcome.SERVED]
    assert verdict_of(recording, "news") is True


async def test_an_impatient_listener_still_gives_up_in_time() -> None:
    async with fake_room(turn_after=10_000, news=[(0.0, {})]) as room:
        recording = await play(room, Kind.IMPATIENT, patience_s=0.5)
    assert acts(recording) == ["join", "listen", "give-up"]
    assert recording.took_s < 15


async def test_a_stream_that_takes_back_what_it_said_is_found() -> None:
    news = [(0.0, {"serving": 5}), (0.1, {"serving": 3}), (0.1, {"serving": 10})]
    async with fake_room(turn_after=1, news=news, bend=lambda place: {**place, "position": 10}) as room:
        recording = await play(room)
    assert verdict_of(recording, "news") is False
    assert [(setback.before.edge, setback.after.edge) for setback in recording.setbacks] == [(5, 3)]


def test_who_listens_follows_from_the_seed_and_changes_nothing_else() -> None:
    without, some = (plan_crowd(Wish(200, 3, listening=share)) for share in (0, 30))
    assert [visitor.listens for visitor in without] == [False] * 200
    assert sum(visitor.listens for visitor in some) == 60
    assert [visitor._replace(listens=False) for visitor in some] == without
    assert plan_crowd(Wish(200, 3, listening=30)) == some


@pytest.fixture
def pair(server: RealServer, tmp_path: Any) -> Iterator[Sequence[Replica]]:
    env = {"ADMIN_TOKEN": TOKEN, "JWT_SECRET": SECRET, "LOG_LEVEL": "warning", "MAX_STREAMS": "25"}
    replicas = [Replica(tmp_path, server.url, **env) for _ in range(2)]
    try:
        for replica in replicas:
            replica.start(wait=False)
        for replica in replicas:
            replica.wait_until_ready()
        yield replicas
    finally:
        for replica in replicas:
            replica.close()


async def test_a_crowd_of_whom_most_listen_gets_through_also_where_not_all_may(pair: Sequence[Replica]) -> None:
    await make_room(pair[0].url, "heard", ratePerMinute=900, rateBurst=5, claimSeconds=10)
    await eventually(lambda: httpx.get(f"{pair[1].url}/rooms/heard/serving").status_code == 200)
    words = ("-n", "120", "--over", "2", "--stay", "1", "--seed", "7", "--time-limit", "90", "--json")
    urls = [replica.url for replica in pair]
    run = await simulate_crowd(urls, "--room", "heard", *words, "--listening", "80", "--mix", "patient=19,late=1")
    assert run.code == 0, run.err
    assert run.ended_as("served") == 120
    promises = {item["name"]: item["holds"] for item in run.summary["promises"]}
    assert all(promises[name] for name in ("unique", "kept", "order", "forward", "rate", "lost", "news")), promises
    news, streams = (int(word) for word in _detail(run.summary, "news").split() if word.isdigit())
    assert streams > 40
    assert news > streams
    assert "listen: 503" in run.summary["errors"], "a replica keeps 25 streams, and refuses more"


def _detail(summary: dict[str, Any], name: str) -> str:
    detail: str = next(item["detail"] for item in summary["promises"] if item["name"] == name)
    return detail
