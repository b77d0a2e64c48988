"""Crowds that come through the gate: what their visitors do, what is checked, and how real gates fare."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.simulate.crowd.checks import check_all
from app.simulate.crowd.gate_checks import check_gate
from app.simulate.crowd.journeys import Outcome, journeys_of
from app.simulate.crowd.plan import Kind, Wish
from app.simulate.crowd.player import Player
from app.simulate.crowd.record import HELD, Act, Event, Recording
from tests.conftest import SECRET
from tests.simulate.conftest import TOKEN, Run, make_room, simulate_crowd
from tests.simulate.fake_room import FakeRoom, fake_room
from tests.support.replicas import Replica
from tests.support.servers import RealServer, free_port
from tests.support.waiting import eventually

ENV = {"ADMIN_TOKEN": TOKEN, "JWT_SECRET": SECRET, "LOG_LEVEL": "warning", "TRUSTED_PROXIES": "127.0.0.1"}
QUICK = ("-n", "120", "--over", "2", "--patience", "6", "--stay", "1", "--seed", "7", "--time-limit", "90", "--json")


async def play(room: FakeRoom, kind: Kind, visitors: int = 1, stay_s: float = 0.1) -> Recording:
    wish = Wish(visitors, 1, over_s=0.0, patience_s=30.0, stay_s=stay_s, mix={kind: 1})
    player = Player(wish, "default", [room.url], sites=[room.site_url])
    try:
        return await player.play(20.0, asyncio.Event(), lambda *_: None)
    finally:
        player.close()


def promises(recording: Recording) -> dict[str, bool | None]:
    verdicts = check_all(recording, journeys_of(recording.visitors, recording.events))
    return {verdict.name: verdict.holds for verdict in verdicts}


def outcomes(recording: Recording) -> list[Outcome]:
    return [journey.outcome for journey in journeys_of(recording.visitors, recording.events)]


async def test_a_visitor_is_led_to_the_line_comes_back_with_the_pass_and_tries_it_again_after_leaving() -> None:
    async with fake_room() as room:
        recording = await play(room, Kind.PATIENT)
        joins, asked = room.headers("join"), room.headers("site")
    acts = [(event.act.value, event.status) for event in recording.events]
    assert acts == [
        ("gate", HELD),
        ("page", ""),
        ("join", "waiting"),
        ("status", "waiting"),
        ("status", "active"),
        ("enter", "entered"),
        ("gate", "through"),
        ("leave", "ended"),
        ("gate", HELD),
    ]
    assert outcomes(recording) == [Outcome.SERVED]
    assert promises(recording)["gate"] is True
    assert promises(recording)["passes"] is True
    assert joins[0]["origin"] == room.url
    assert "authorization" not in {name for headers in [*joins, *asked] for name in headers}
    assert [header["sec-fetch-mode"] for header in asked] == ["navigate", "navigate", "cors"]


async def test_a_visitor_who_is_let_straight_in_has_a_place_all_the_same() -> None:
    async with fake_room(inline=True) as room:
        recording = await play(room, Kind.PATIENT, visitors=5)
    assert outcomes(recording) == [Outcome.SERVED] * 5
    journeys = journeys_of(recording.visitors, recording.events)
    assert sorted(place.position for journey in journeys for place in journey.places) == [1, 2, 3, 4, 5]
    assert all(promises(recording)[name] is not False for name in promises(recording))
    assert {event.act for event in recording.events} == {Act.GATE, Act.LEAVE}


async def test_a_gate_that_lets_those_in_line_through_is_found_by_who_tries() -> None:
    async with fake_room(turn_after=12, leaks=lambda: len(room.asked["status"]) > 3) as room:
        room.asked["status"] = []
        recording = await play(room, Kind.RELOADING)
    assert promises(recording)["gate"] is False


async def test_a_session_is_prolonged_by_use_where_the_gate_does_so() -> None:
    async with fake_room(session_s=1.0) as room:
        recording = await play(room, Kind.PATIENT, stay_s=3.0)
    statuses = [event.status for event in recording.events if event.act is Act.GATE]
    assert statuses.count("through") == 2, "once on entering, and once more in the second half of the session"
    assert outcomes(recording) == [Outcome.SERVED]


async def test_who_comes_back_too_late_to_prolong_a_session_does_not_try_again_and_again() -> None:
    async with fake_room(session_s=0.0, takes_s=0.02) as room:
        recording = await play(room, Kind.PATIENT, stay_s=1.0)
    statuses = [event.status for event in recording.events if event.act is Act.GATE]
    assert statuses.count("through") == 2
    assert outcomes(recording) == [Outcome.SERVED]


def event(act: Act, at_s: float, status: str, http: int = 200, *, left_s: float = 0.0) -> Event:
    placed = act in (Act.JOIN, Act.ENTER) or left_s > 0
    return Event(1, act, at_s, at_s, at_s + 0.1, http, status, epoch=placed, position=placed, left_s=left_s)


ENTERED = [event(Act.JOIN, 1.0, "active"), event(Act.ENTER, 2.0, "entered", left_s=60.0)]


@pytest.mark.parametrize(
    ("events", "broken"),
    [
        ([event(Act.GATE, 1.0, "through")], {"gate"}),
        ([event(Act.GATE, 1.0, "pass", 204)], {"gate"}),
        ([event(Act.GATE, 1.0, "bypass")], set()),
        ([event(Act.GATE, 1.0, HELD, 429)], set()),
        ([event(Act.GATE, 1.0, "", 503)], set()),
        ([event(Act.GATE, 1.0, "", 0)], set()),
        ([event(Act.GATE, 1.0, "entered", left_s=60.0), event(Act.GATE, 2.0, "pass")], set()),
        ([event(Act.JOIN, 1.0, "active"), event(Act.GATE, 1.5, "through")], {"gate"}),
        ([*ENTERED, event(Act.GATE, 3.0, "through")], set()),
        ([*ENTERED, event(Act.GATE, 3.0, HELD, 302)], {"passes"}),
        ([*ENTERED, event(Act.GATE, 64.0, "through")], set()),
        ([*ENTERED, event(Act.GATE, 66.0, "through")], {"gate"}),
        ([*ENTERED, event(Act.GATE, 61.0, HELD, 302)], set()),
        ([*ENTERED, event(Act.GATE, 8.0, HELD, 302), event(Act.LEAVE, 9.0, "ended", 204)], {"passes"}),
        ([*ENTERED, event(Act.LEAVE, 9.0, "ended", 204), event(Act.GATE, 9.05, HELD, 302)], set()),
        ([*ENTERED, event(Act.LEAVE, 9.0, "ended", 204), event(Act.GATE, 10.0, "through")], set()),
        ([*ENTERED, event(Act.LEAVE, 9.0, "ended", 204), event(Act.GATE, 13.0, "through")], {"gate"}),
        ([*ENTERED, event(Act.LEAVE, 9.0, "ended", 204), event(Act.GATE, 13.0, HELD, 429)], set()),
    ],
)
def test_what_the_gate_does_is_held_against_turns_and_passes(events: Sequence[Event], broken: set[str]) -> None:
    wish = Wish(1, 1)
    visitor = Player(wish, "default", ["http://localhost"]).recording.visitors[0]
    recording = Recording(wish, "default", [], [visitor], events=list(events), sites=["http://localhost/"])
    verdicts = check_gate(recording, journeys_of([visitor], events))
    assert {verdict.name for verdict in verdicts} == {"gate", "passes"}
    assert {verdict.name for verdict in verdicts if verdict.holds is False} == broken


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Replica]]:
    """Two replicas under a prefix, on a store of their own."""
    folder = tmp_path_factory.mktemp("pair")
    store = RealServer(folder / "store").start()
    replicas = [Replica(folder, store.url, ROOT_PATH="/_queue", **ENV) for _ in range(2)]
    try:
        for replica in replicas:
            replica.start(wait=False)
        for replica in replicas:
            replica.wait_until_ready()
        yield replicas
    finally:
        for replica in replicas:
            replica.close()
        store.kill()


@pytest.fixture
def new_room(pair: list[Replica]) -> Callable[..., object]:
    async def make(name: str, **settings: object) -> None:
        await make_room(pair[0].url, name, **settings)
        await eventually(lambda: httpx.get(f"{pair[1].url}/rooms/{name}/serving").status_code == 200)

    return make


def through(room: str, urls: Sequence[str], sites: Sequence[str]) -> list[str]:
    """The command's words for a crowd that comes to these addresses of the site."""
    return ["--room", room, *QUICK, *(word for site in sites for word in ("--through-gate", site))]


def holding(run: Run) -> dict[str, bool | None]:
    return {item["name"]: item["holds"] for item in run.summary["promises"]}


async def test_a_crowd_asks_the_gates_of_two_replicas_and_nobody_gets_past_without_a_turn(
    pair: list[Replica], new_room: Callable[..., object]
) -> None:
    await new_room("asked", maxActive=40, ratePerMinute=2400, claimSeconds=8)
    urls = [replica.url for replica in pair]
    run = await simulate_crowd(urls, *through("asked", urls, [f"{url}/gate/asked" for url in urls]))
    assert run.code == 0, run.err
    assert {name for name, holds in holding(run).items() if not holds} == {"batches"}
    assert run.ended_as("served") + run.ended_as("gave up") == 120
    details = {item["name"]: item["detail"] for item in run.summary["promises"]}
    assert int(details["gate"].split()[0]) > 240, "everybody asks on coming, inside, and after leaving"
    assert int(details["passes"].split()[0]) >= run.ended_as("served")


@contextmanager
def box_office(folder: Path, service_url: str, *words: str) -> Iterator[str]:
    """The demo's site as a process; gives its address."""
    port = free_port()
    process = subprocess.Popen(
        [*(sys.executable, "-m", "app", "demo", "site", "--port", str(port)), "--waiting-room", service_url, *words],
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


async def _up(site: str) -> bool:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{site}/livez")).is_success


async def test_a_crowd_visits_a_site_behind_its_guard_by_the_sites_own_address(
    pair: list[Replica], new_room: Callable[..., object], tmp_path: Path
) -> None:
    await new_room("visited", maxActive=40, claimSeconds=8)
    with box_office(tmp_path, pair[0].url, "--guard", "visited") as site:
        await eventually(lambda: _up(site), within_s=30)
        run = await simulate_crowd([f"{site}/_queue"], *through("visited", [], [f"{site}/seats"]))
    assert run.code == 0, run.err
    assert (holding(run)["gate"], holding(run)["passes"], holding(run)["lost"]) == (True, True, True)
    assert run.ended_as("served") > 60


async def test_a_site_that_nobody_guards_fails_the_run(
    pair: list[Replica], new_room: Callable[..., object], tmp_path: Path
) -> None:
    await new_room("unguarded", maxActive=1)
    with box_office(tmp_path, pair[0].url) as site:
        await eventually(lambda: _up(site), within_s=30)
        run = await simulate_crowd([pair[0].url], *through("unguarded", [], [f"{site}/seats"]), "-n", "20")
    assert run.code == 1
    assert holding(run)["gate"] is False
    assert "nobody gets past the gate without a turn" in run.err
