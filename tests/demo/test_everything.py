"""`stanchion demo`: everything in one go, on a bare machine, and nothing left of it afterwards."""

import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.demo.everything import Part, PartFailed, choose_port
from app.errors import ConfigError
from tests.support.demos import DemoStarter, demos
from tests.support.servers import free_port
from tests.support.waiting import eventually

IN_A_FRAME = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}
"""A page in a frame, as the tour has it, is never let in at the gate itself."""


@pytest.fixture
def start_demo(tmp_path: Path) -> Iterator[DemoStarter]:
    with demos(tmp_path) as starter:
        yield starter


async def test_it_brings_up_all_parts_and_takes_all_of_them_down_again(start_demo: DemoStarter) -> None:
    demo = await start_demo("--crowd", "50", "--shoppers", "2", REDIS_URL="redis://127.0.0.1:1/0").ready()
    parts = demo.pids()
    assert {name.split()[0] for name in parts} == {"serve", "worker", "demo", "simulate"}
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{demo.site}/tour")).status_code == 200
        led = await client.get(f"{demo.site}/", headers=IN_A_FRAME)
        assert led.headers["location"].startswith("/_queue/rooms/lantern-hall?target=")
        assert (await client.get(f"{demo.site}{led.headers['location']}")).status_code == 200
        assert (await client.get(f"{demo.service}/admin", follow_redirects=True)).status_code == 200
        token = re.search(r"token: (\S+)", demo.said)
        assert token
        overview = f"{demo.service}/admin/api/overview"
        assert (await client.get(overview, headers={"authorization": f"Bearer {token[1]}"})).is_success

        async def somebody_has_come() -> bool:
            serving = (await client.get(f"{demo.site}/_queue/rooms/lantern-hall/serving")).json()
            hall = (await client.get(f"{demo.site}/tour.json")).json()
            return serving["last"] > 2 and bool(hall["held"] or hall["sold"])

        await eventually(somebody_has_come, within_s=60)

    assert demo.stop() == 0
    stopped = re.findall(r"^stopping (.+)$", demo.said, re.MULTILINE)
    assert stopped == re.findall(r"^starting (.+)$", demo.said, re.MULTILINE)[::-1]
    assert not any(Path(f"/proc/{pid}").exists() for pid in parts.values())
    assert "Traceback" not in demo.said + "".join(path.read_text() for path in demo.folder.glob("*.log"))


async def test_when_a_part_dies_it_says_which_and_stops_the_others(start_demo: DemoStarter) -> None:
    demo = await start_demo("--crowd", "0", "--shoppers", "0").ready()
    parts = demo.pids()
    os.kill(next(pid for name, pid in parts.items() if name.startswith("worker")), signal.SIGKILL)
    assert demo.process.wait(60) == 1
    assert "the worker has ended with status -9" in demo.said
    assert not any(Path(f"/proc/{pid}").exists() for pid in parts.values())


async def test_killed_outright_it_leaves_no_process_behind_and_the_store_is_stopped_in_order(
    start_demo: DemoStarter,
) -> None:
    demo = await start_demo("--crowd", "20", "--shoppers", "1").ready()
    parts = list(demo.pids().values())
    store = int((demo.folder / "data" / "valkey.pid").read_text())
    demo.process.kill()
    demo.process.wait(30)
    try:
        await eventually(lambda: not any(runs(pid) for pid in [*parts, store]), within_s=60)
    finally:
        for pid in filter(runs, [*parts, store]):
            os.kill(pid, signal.SIGKILL)
    assert not (demo.folder / "data" / "valkey.pid").exists(), "the service has stopped its store itself"
    assert "Traceback" not in "".join(path.read_text() for path in demo.folder.glob("*.log"))


def runs(pid: int) -> bool:
    """Whether the process still does something: an orphan that has ended may stay in the list until somebody asks."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_port_that_was_asked_for_and_is_taken_is_one_clear_line(start_demo: DemoStarter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        demo = start_demo("--port", str(taken.getsockname()[1]))
        assert demo.process.wait(60) == 2
    assert "cannot listen on" in demo.said
    assert "Traceback" not in demo.said


def test_a_usual_port_that_is_taken_is_replaced_by_a_free_one() -> None:
    taken = free_port()
    assert choose_port(None, taken) == taken
    with socket.create_server(("127.0.0.1", taken)):
        assert choose_port(None, taken) != taken
        with pytest.raises(ConfigError):
            choose_port(taken, taken)


async def test_a_crowd_is_followed_by_the_next_but_not_when_it_cannot_be_started(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    good = Part("the crowd", ("version",), env, tmp_path / "good.log", "again")
    bad = Part("the crowd", ("no-such-command",), env, tmp_path / "bad.log", "again")
    for part in (good, bad):
        part.start()
        assert part.process is not None
        part.process.wait(30)
    good.check()
    assert good.process is not None
    assert good.process.wait(30) == 0
    assert (tmp_path / "good.log").read_text().count("\n") == 2
    with pytest.raises(PartFailed, match="No such command"):
        bad.check()
