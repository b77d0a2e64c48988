"""docker-compose.yml's own nginx: the box office behind the gate on one port, the API as ever on the other."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.proxies.programs import Proxy
from tests.proxies.site import Site
from tests.proxies.world import WaitingRoom, World
from tests.support.servers import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.needs("nginx")


@pytest.fixture
def box_office(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        room = WaitingRoom(tmp_path / "room", OPEN_ROUTES="tasks,locks")
        stack.callback(room.stop)
        room.start()
        room.configure(gate={"inline": False})
        site = Site(free_port())
        proxy = Proxy("nginx-compose", tmp_path / "proxy", room.ports, site.port)
        stack.callback(proxy.stop)
        proxy.start()
        inner = f"http://127.0.0.1:{proxy.inner_port}"
        command = [sys.executable, "-m", "app", "demo", "site", "--port", str(site.port), "--waiting-room", inner]
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(process.wait, 20)
        stack.callback(process.terminate)
        world = World(proxy, room, site)
        stack.callback(world.close)
        yield world


async def test_a_visitor_waits_enters_sees_the_box_office_and_leaves(box_office: World) -> None:
    visitor = box_office.visitor()
    await eventually(lambda: visitor.get("/static/site.css").status_code == 200, within_s=30)
    front = visitor.enter("/seats")
    assert front.status_code == 200
    assert "seat" in front.text.lower()
    left = visitor.post("/leave", headers={"Origin": box_office.proxy.url})
    assert (left.status_code, left.headers["location"]) == (303, "/bye")
    await eventually(lambda: visitor.get("/seats").status_code == 302)
    assert visitor.get("/bye").status_code == 200, "the last page needs no pass"


def test_the_api_is_where_it_was_with_and_without_the_prefix(box_office: World) -> None:
    inner = f"http://127.0.0.1:{box_office.proxy.inner_port}"
    with httpx.Client(base_url=inner, trust_env=False, timeout=30) as client:
        joined = client.post("/join")
        assert joined.json()["status"] == "active"
        headers = {"Authorization": f"Bearer {joined.json()['token']}"}
        assert client.get("/_queue/status", headers=headers).json()["position"] == joined.json()["position"]
        assert client.get("/lock", params={"id": "42"}).status_code == 200
        assert client.get("/", headers={"Accept": "text/html"}).status_code == 200
        foreign = client.get("/stats", headers={"Origin": "https://evil.example"})
        assert foreign.status_code == 403
