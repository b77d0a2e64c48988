"""State that an earlier version of the program has written is read and carried on: two versions may share one store.

`kept/state-before-passes.json` was written by the scripts of commit 0f1cd70, before there were passes and a gate: a
plain room, a room with a cap whose visitors are inside, gone, passed over and back, and a queue with a task in every place.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from app.clock import SystemClock
from app.rooms.room import Room
from app.rooms.rooms import SCRIPTS
from app.rooms.settings import RoomSettings
from tests.rooms.test_after_a_loss import Shop
from tests.support.scripts import HEAL_MS, ScriptedRoom
from tests.support.servers import RealServer
from tests.tasks.looking import FAKE_NOW, Scripts, check_invariants, set_now

WRITTEN = Path(__file__).parent / "kept" / "state-before-passes.json"
NOW_MS = 1_700_000_003_000


@pytest.fixture
def client(server: RealServer) -> Any:
    with server.client() as client:
        for key, value in json.loads(WRITTEN.read_text()).items():
            if isinstance(value, dict):
                client.hset(key, mapping=value)
            else:
                client.zadd(key, dict(value))
        client.expire("stanchion:{tasks:default}:turns", 3600)
        set_now(client, NOW_MS)
        yield client
        client.flushall()


def room(client: Any, name: str) -> ScriptedRoom:
    """The room, as the same server process would go on with it."""
    found = ScriptedRoom(client, name, NOW_MS)
    client.hset(found._keys["state"], "run_id", client.info("server")["run_id"])
    return found


def test_a_window_moves_on_from_where_it_stood(client: Any) -> None:
    plain = room(client, "plain")
    seen = plain.tick()
    assert (seen.epoch, seen.last, seen.edge) == (1, 8, 3)
    assert plain.join(2)[3] == 9
    plain.now_ms += 2000
    assert plain.tick(seen).edge == 6


def test_everybody_in_a_room_with_a_cap_stands_where_they_stood(client: Any) -> None:
    capped = room(client, "capped")
    shop = Shop(capped, [])
    assert shop.active() == {1, 4, 7}
    before = client.zscore(capped._keys["sessions"], "1")
    assert capped.enter(1, 1)[3] == before, "the same session"
    assert capped.enter(1, 2) == [-8]
    assert capped.enter(1, 4)[0] == 0
    assert capped.leave(1, 7)[1] == 1
    assert shop.active() == {1, 4, 5}, "who had come back to the front is next"
    capped.seen(1, 6, 0)
    capped.leave(1, 4)
    assert shop.active() == {1, 5, 6}, "who had been passed over may still come back"


def test_a_loss_is_healed_from_what_a_replica_read_of_it(client: Any) -> None:
    capped = room(client, "capped")
    seen = capped.tick()
    told = [capped.marks.get(position) for position in (1, 2, 5, 6)]
    assert [mark.kind for mark in told if mark is not None] == ["e", "x", "w", "p"]
    client.hset(capped._keys["state"], "run_id", "another process")
    assert capped.tick(seen).healing
    capped.now_ms += 500
    assert not capped.tick(seen).healing
    assert Shop(capped, []).active() == {1, 4, 7}


def test_settings_of_a_later_version_leave_a_replica_with_those_that_it_can_read(server: RealServer) -> None:
    with server.client() as client:
        store = ScriptedRoom(client)
        store.declare(RoomSettings(max_active=3))
        replica = Room("default", None, None, SCRIPTS, SystemClock(), HEAL_MS)  # type: ignore[arg-type]
        shop = Shop(store, [replica])
        shop.look(replica)
        later = json.dumps({"maxActive": 4, "ofALaterVersion": True})
        client.hset(store._keys["state"], mapping={"settings": later, "settings_version": 7})
        shop.join(replica, 1)
        shop.look(replica)
        assert replica.settings.max_active == 3
        assert replica.snapshot is not None
        assert (replica.snapshot.last, replica.snapshot.settings_version, replica.stale) == (1, 7, False)
        client.hset(store._keys["state"], mapping={"run_id": "another process", "settings_version": 6})
        shop.look(replica)
        assert client.hget(store._keys["state"], "settings") == later, "what it cannot read it does not replace"


def test_tasks_in_every_place_go_on(client: Any) -> None:
    run = Scripts(client, "default", {"now": FAKE_NOW})
    check_invariants(client, "default")
    base = "stanchion:{tasks:default}:"
    places = {place: client.zrange(base + place, 0, -1) for place in ("delayed", "leased", "done", "dead")}
    assert {place: len(ids) for place, ids in places.items()} == {"delayed": 1, "leased": 1, "done": 1, "dead": 1}
    [leased] = places["leased"]
    token = client.hget(f"{base}t:{leased}", "token")
    limits = {"keep_ms": 10**9, "keep_count": 10**6, "keep_bytes": 10**9}
    _, [[status, *_]] = run("complete", need_token=1, entries=[leased, token, "1"], **limits)
    assert status == 0
    set_now(client, NOW_MS + 10_000)
    _, _, taken, _ = run(
        "claim",
        count=9,
        lease_ms=1000,
        worker="new",
        arm=0,
        rotation="0012",
        max_expiries=5,
        keep_dead_ms=10**9,
        keep_dead_count=10**6,
        types=[],
    )
    ended = {*places["leased"], *places["done"], *places["dead"]}
    assert {id_ for id_, *_ in taken} == {"t1", "t2", "t3", "t4", "t5", "t6"} - ended
    check_invariants(client, "default")
