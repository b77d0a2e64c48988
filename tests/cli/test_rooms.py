"""`stanchion rooms` against a running service."""

import json
from collections.abc import Callable

from tests.cli.test_commands import stanchion
from tests.support.replicas import Replica
from tests.support.servers import RealServer

TOKEN = "admin-token-for-tests"


def test_rooms_are_made_steered_shown_and_deleted_from_a_terminal(
    server: RealServer, start_replica: Callable[..., Replica]
) -> None:
    replica = start_replica(server.url, ADMIN_TOKEN=TOKEN)

    def rooms(*words: str) -> str:
        run = stanchion("rooms", *words, STANCHION_URL=replica.url, ADMIN_TOKEN=TOKEN, COLUMNS="200")
        assert run.returncode == 0, run.stderr
        return run.stdout

    made = json.loads(rooms("create", "sale", "maxActive=50", "ratePerMinute=120.5", "--json"))
    assert (made["settings"]["maxActive"], made["settings"]["ratePerMinute"]) == (50, 120.5)
    assert "paused" in rooms("pause", "sale")
    changed = json.loads(rooms("set", "sale", "maxActive=", "sessionSeconds=60", "--json"))
    assert (changed["settings"]["maxActive"], changed["settings"]["sessionSeconds"]) == (None, 60)
    assert "sale" in rooms("list")
    assert "Let in: 0" in rooms("admit", "sale", "3")
    assert json.loads(rooms("reset", "sale", "--yes", "--json"))["epoch"] == 2
    assert "0 sessions" in rooms("sessions", "sale")
    assert "maxActive=50" in rooms("audit", "sale")
    rooms("set", "sale", "gate.siteUrl=https://shop.example/", "gate.vipSecret=a-key-for-vip-codes-that-is-long-enough")
    rooms("set", "sale", "look.title=[/b] :x: [red]Sale")
    for where in (rooms("show", "sale"), rooms("audit", "sale")):
        assert "[/b] :x: [red]Sale" in where, "an operator's text is no markup"
    shown = " ".join(rooms("show", "sale").replace("│", " ").split())
    assert "gate.siteUrl https://shop.example/ gate.pageUrl default" in shown, "by the names that `set` takes"
    assert "gate.bypass.paths []" in shown
    links = rooms("vip", "sale", "--count", "2", "--hours", "1").split()
    assert [link.partition("=")[0] for link in links] == ["https://shop.example/?waiting-room-vip"] * 2
    led_astray = stanchion("rooms", "delete", "sale?x", "--yes", STANCHION_URL=replica.url, ADMIN_TOKEN=TOKEN)
    assert led_astray.returncode == 2, "what no room can be named must not lead to another one"
    assert "is gone" in rooms("delete", "sale", "--yes")
    refused = stanchion("rooms", "show", "sale", STANCHION_URL=replica.url, ADMIN_TOKEN=TOKEN)
    assert refused.returncode == 1
    assert "There is no room named 'sale'" in refused.stderr
    with server.client() as direct:
        direct.flushall()
