"""`stanchion simulate crowd` against running services: every way of admitting, two replicas, a killed one."""

import asyncio
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import SECRET
from tests.simulate.conftest import TOKEN, ended, make_room, simulate_crowd, start_crowd
from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.waiting import SLACK_S, eventually

ENV = {"ADMIN_TOKEN": TOKEN, "JWT_SECRET": SECRET, "LOG_LEVEL": "warning"}
QUICK = ("-n", "200", "--over", "3", "--patience", "6", "--stay", "1", "--seed", "7", "--time-limit", "90", "--json")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Two replicas on a store of their own, for all tests that leave them running."""
    folder = tmp_path_factory.mktemp("pair")
    store = RealServer(folder / "store").start()
    replicas = [Replica(folder, store.url, **ENV) for _ in range(2)]
    try:
        for replica in replicas:
            replica.start(wait=False)
        for replica in replicas:
            replica.wait_until_ready()
        yield [replica.url for replica in replicas]
    finally:
        for replica in replicas:
            replica.close()
        store.kill()


@pytest.mark.parametrize(
    ("checked", "settings"),
    [
        ({"batches"}, {"windowSize": 30, "windowIntervalSeconds": 1, "activeWindowCount": 8}),
        ({"rate"}, {"ratePerMinute": 1800, "claimSeconds": 8}),
        ({"active"}, {"maxActive": 60, "claimSeconds": 8}),
        (
            {"batches", "rate", "active"},
            {
                "batches": True,
                "windowSize": 40,
                "windowIntervalSeconds": 1,
                "ratePerMinute": 2400,
                "maxActive": 80,
                "claimSeconds": 8,
            },
        ),
        (set(), {"method": "passthrough", "claimSeconds": 8}),
        ({"active", "rate"}, {"maxActive": 70, "ratePerMinute": 3000, "claimSeconds": 8, "passOver": True}),
    ],
    ids=["batches", "rate", "active", "all-three", "passthrough", "pass-over"],
)
async def test_a_crowd_gets_through_and_every_promise_holds(
    checked: set[str], settings: dict[str, object], pair: list[str]
) -> None:
    room = f"sale-{'-'.join(sorted(checked)) or 'none'}"  # each case checks limits of its own
    await make_room(pair[0], room, **settings)
    await eventually(lambda: httpx.get(f"{pair[1]}/rooms/{room}/serving").status_code == 200)
    run = await simulate_crowd(pair, "--room", room, *QUICK)
    assert run.code == 0, run.err
    promises = {item["name"]: item["holds"] for item in run.summary["promises"]}
    assert {name for name in ("batches", "rate", "active") if promises[name]} == checked
    assert all(promises[name] for name in ("unique", "kept", "order", "forward", "lost"))
    assert run.ended_as("served") + run.ended_as("gave up") == 200
    assert run.summary["outcomes"]["late"] == {"served": 10}
    assert run.summary["ended"] == "all done"
    positions = next(item["detail"] for item in run.summary["promises"] if item["name"] == "unique")
    assert positions == "210 positions", "each of the ten late ones misses a turn and joins again"


async def last_position(url: str, room: str = "default") -> int:
    async with httpx.AsyncClient(base_url=url) as client:
        last: int = (await client.get(f"/rooms/{room}/serving")).json()["last"]
        return last


async def test_a_replica_that_is_killed_and_comes_back_costs_nobody_their_place(
    server: RealServer, start_replica: Callable[..., Replica]
) -> None:
    env = {**ENV, "WINDOW_SIZE": "20", "WINDOW_INTERVAL": "1", "ACTIVE_WINDOW_COUNT": "10"}
    first, second = (start_replica(server.url, **env) for _ in range(2))
    words = ("-n", "200", "--over", "4", "--stay", "1", "--mix", "patient=3,reloading=1", "--listening", "50", "--json")
    gates = [word for replica in (first, second) for word in ("--through-gate", f"{replica.url}/gate/default")]
    process = start_crowd([first.url, second.url], *words, *gates)
    await eventually(lambda: _more_than(first.url, 40), within_s=30)
    await asyncio.to_thread(first.kill)
    await eventually(lambda: _more_than(second.url, 120), within_s=30)
    await asyncio.to_thread(first.start)
    run = await ended(process)
    assert run.code == 0, run.err
    assert run.ended_as("served") == 200
    assert any("no answer" in kind for kind in run.summary["errors"]), run.summary["errors"]
    promises = ("unique", "kept", "order", "forward", "lost", "batches", "gate", "passes", "news")
    assert all(run.promise(name) for name in promises), run.err


async def _more_than(url: str, count: int) -> bool:
    return await last_position(url) > count


async def test_a_store_that_is_away_for_a_moment_costs_nobody_their_place(
    own_server: RealServer, start_replica: Callable[..., Replica]
) -> None:
    env = {**ENV, "WINDOW_SIZE": "20", "WINDOW_INTERVAL": "1", "ACTIVE_WINDOW_COUNT": "10"}
    url = start_replica(own_server.url, **env).url
    process = start_crowd([url], "-n", "200", "--over", "6", "--stay", "1", "--mix", "patient=1", "--json")
    await eventually(lambda: _more_than(url, 40), within_s=30)
    await asyncio.to_thread(own_server.kill)
    await eventually(lambda: _is_stale(url), within_s=30)
    await asyncio.to_thread(own_server.start)
    run = await ended(process)
    assert run.code == 0, run.err
    assert run.ended_as("served") == 200
    assert any("join: 503" in kind for kind in run.summary["errors"]), run.summary["errors"]


async def _is_stale(url: str) -> bool:
    async with httpx.AsyncClient(base_url=url) as client:
        return bool((await client.get("/serving")).json()["stale"])


async def test_ctrl_c_ends_with_a_report_and_nobody_stays_behind(
    server: RealServer, start_replica: Callable[..., Replica], tmp_path: Path
) -> None:
    url = start_replica(server.url, **ENV).url
    await make_room(url, "sale", maxActive=5, claimSeconds=600)
    report = tmp_path / "report.html"
    process = start_crowd(
        [url],
        "--room",
        "sale",
        "-n",
        "100",
        "--over",
        "1",
        "--stay",
        "600",
        "--mix",
        "patient=1",
        "--report",
        str(report),
    )
    await eventually(lambda: _all_in_line(url), within_s=30)
    process.send_signal(signal.SIGINT)
    run = await ended(process)
    assert run.code == 0, run.err
    assert "until it was interrupted" in run.out
    assert "nobody who stayed is lost" in run.out
    assert re.search(r"patient(\s+\d+)*\s+95\b", run.out), run.out
    assert "<svg" in report.read_text()
    await eventually(lambda: _nobody_there(url))


async def _all_in_line(url: str) -> bool:
    return await last_position(url, "sale") == 100 and (await _room(url))["sessions"] == 5


async def _nobody_there(url: str) -> bool:
    room = await _room(url)
    return (room["waiting"], room["active"]) == (0, 0)


async def _room(url: str) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        content: dict[str, Any] = (await client.get("/admin/api/rooms/sale")).json()
        return content


async def test_at_the_time_limit_who_is_in_line_is_not_lost(
    server: RealServer, start_replica: Callable[..., Replica]
) -> None:
    url = start_replica(server.url, **ENV, WINDOW_SIZE="5", WINDOW_INTERVAL="600").url
    run = await simulate_crowd(
        [url], "-n", "60", "--over", "0", "--stay", "0", "--mix", "patient=1", "--time-limit", "8", "--json", token=""
    )
    assert run.code == 0, run.err
    assert run.summary["ended"] == "time limit"
    assert (run.ended_as("served"), run.ended_as("in line")) == (5, 55)
    unchecked = {item["name"]: item["detail"] for item in run.summary["promises"] if item["holds"] is None}
    assert set(unchecked) == {"active", "rate", "batches"}
    assert "no operator's token" in unchecked["rate"]


async def test_an_operator_who_steers_meanwhile_makes_the_limits_uncheckable(
    server: RealServer, start_replica: Callable[..., Replica]
) -> None:
    url = start_replica(server.url, **ENV).url
    await make_room(url, "sale", ratePerMinute=60, rateBurst=1)
    process = start_crowd(
        [url], "--room", "sale", "-n", "40", "--over", "0", "--stay", "0", "--mix", "patient=1", "--json"
    )
    await eventually(lambda: _more_than_in(url, "sale", 39), within_s=30)
    async with httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        admitted = (await client.post("/admin/api/rooms/sale/admit", json={"count": 40})).json()["admitted"]
        assert 39 - 2 * SLACK_S <= admitted <= 39, "all who are in line: by itself it lets in one each second"
        assert (await client.get("/rooms/sale/serving")).json()["last"] == 40
    run = await ended(process)
    assert run.code == 0, run.err
    assert run.promise("rate") is None
    assert run.promise("order") is True
    assert run.ended_as("served") == 40


async def test_a_line_that_is_started_anew_is_joined_anew_and_no_promise_is_broken(pair: list[str]) -> None:
    await make_room(pair[0], "anew", ratePerMinute=600, rateBurst=1, claimSeconds=20)
    process = start_crowd(
        pair, "--room", "anew", "-n", "60", "--over", "0", "--stay", "0", "--mix", "patient=1,reloading=1", "--json"
    )
    await eventually(lambda: _more_than_in(pair[0], "anew", 59), within_s=30)
    async with httpx.AsyncClient(base_url=pair[0], headers={"authorization": f"Bearer {TOKEN}"}) as client:
        assert (await client.post("/admin/api/rooms/anew/reset")).json()["epoch"] == 2
    run = await ended(process)
    assert run.code == 0, run.err
    assert run.ended_as("served") == 60
    positions = next(item["detail"] for item in run.summary["promises"] if item["name"] == "unique")
    assert int(positions.removesuffix(" positions")) > 60
    assert run.promise("rate") is None


async def _more_than_in(url: str, room: str, count: int) -> bool:
    return await last_position(url, room) > count


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--url", "http://127.0.0.1:9"], "is the service running?"),
        (["--url", "nowhere"], "cannot be used"),
        (["--through-gate", "shop.example"], "cannot be used"),
        (["--through-gate", "http://127.0.0.1:9/ä"], "write what is not ASCII"),
        (["--room", "sale HTTP/1.1"], "No room can be named"),
        (["--mix", "polite=1"], "The mix is written like"),
        (["--report", "/nonexistent/report.html"], "cannot be written"),
    ],
)
async def test_what_cannot_be_played_is_said_in_one_line(words: list[str], says: str) -> None:
    run = await simulate_crowd([], *words)
    assert run.code == 1
    assert says in run.err
    assert "Traceback" not in run.err


async def test_a_run_that_cannot_start_leaves_an_earlier_report_as_it_is_and_no_empty_one(tmp_path: Path) -> None:
    (tmp_path / "old.html").write_text("earlier")
    for name in ("old.html", "new.html"):
        run = await simulate_crowd(["http://127.0.0.1:9"], "--report", str(tmp_path / name))
        assert run.code == 1
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old.html", "earlier")]


async def test_a_room_that_there_is_not_is_named(server: RealServer, start_replica: Callable[..., Replica]) -> None:
    run = await simulate_crowd([start_replica(server.url, **ENV).url], "--room", "attic")
    assert run.code == 1
    assert "no room named 'attic'" in run.err
