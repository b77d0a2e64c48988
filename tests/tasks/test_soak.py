"""A short soak: nothing acknowledged is lost, whatever is killed."""

from pathlib import Path

import pytest

from tests.support.servers import RealServer
from tests.tasks.looking import Scripts
from tests.tasks.soak import Soak
from tests.tasks.watch import (
    LOOK,
    Look,
    fence_fell,
    latest_ms,
    left_behind,
    started_early,
    starved,
    tokens_that_did_not_rise,
    unbalanced,
)


@pytest.mark.timeout(400)
async def test_nothing_is_lost_while_workers_replicas_and_the_store_are_killed(
    own_server: RealServer, tmp_path: Path
) -> None:
    summary = await Soak(tmp_path, own_server, seconds=16, seed=7).run()
    assert summary["acknowledged"] > 50
    assert summary["kills"]["store"] >= 2
    assert summary["kills"]["worker"] >= 3


def look(now_ms: int = 0, **changes: int | str) -> Look:
    return Look(now_ms, 5, 10, 1, 4, 0, 0, "", 0, 0)._replace(**changes)  # type: ignore[arg-type]


def test_the_reckoning_finds_a_task_in_no_place_or_in_two() -> None:
    assert unbalanced([[look(), look(deleted=0, places=5)]]) == []
    assert unbalanced([[look(), look(places=3)], [look(places=5)]]) == [look(places=3), look(places=5)]


def test_the_reckoning_finds_fences_and_tokens_that_do_not_rise() -> None:
    assert fence_fell([[look(), look(fence=11)], [look(fence=11)]]) == []
    assert fence_fell([[look(fence=11)], [look(fence=10)]]) == [(look(fence=11), look(fence=10))]
    assert tokens_that_did_not_rise([("a", 1, 0), ("b", 1, 0), ("a", 2, 0)], 50) == []
    assert tokens_that_did_not_rise([("a", 2, 0), ("b", 1, 0), ("a", 2, 0), ("a", 1, 49)], 50) == ["a", "a"]
    late = [("a", 3000, 3), ("a", 2000, 60)]
    assert tokens_that_did_not_rise(late, 50) == [], "begun after its lease, when another had the task"
    assert tokens_that_did_not_rise([*late, ("a", 2000, 70)], 50) == ["a"]


def test_the_reckoning_finds_a_low_task_that_is_starved() -> None:
    fed = [look(first_low="a", claims=3), look(first_low="a", claims=18), look(first_low="b", claims=19)]
    assert starved([fed, [look(first_low="b", claims=50)]], 16) == {}
    assert starved([fed, [look(first_low="b", claims=51)]], 16) == {"b": (32, 0)}
    assert starved([fed, [look(first_low="b", claims=51, expiries=1)]], 16) == {}, "one that came back was first"
    assert starved([fed, [look(first_low="b", claims=67, expiries=1)]], 16) == {"b": (48, 1)}


def test_a_low_task_that_was_handed_out_and_given_back_has_had_its_turn(server: RealServer) -> None:
    with server.client() as client:
        run = Scripts(client)

        def first_low() -> str:
            return Look(*client.eval(LOOK, 0, "default")).first_low

        run("enqueue", remember_ms=1, entries=["low", "a", '"p"', 2, 0, 0, 3, 0, ""])
        first = first_low()
        keep = {"keep_dead_ms": 10**9, "keep_dead_count": 10}
        run("claim", count=1, lease_ms=9999, worker="w", arm=0, rotation="0", max_expiries=3, types=[], **keep)
        assert first_low() == ""
        run("release", need_token=0, entries=["low", ""])
        assert first.split()[0] == first_low().split()[0] == "low"
        assert first != first_low()


def test_the_reckoning_finds_what_is_early_or_late() -> None:
    assert started_early([("a", 1, 500), ("b", 1, 400)], {"a": 500, "b": 401}) == ["b"]
    late = [look(1000, first_due_ms=1100), look(2300, first_due_ms=1100), look(2500)]
    assert latest_ms([late], "first_due_ms") == 1200
    assert latest_ms([late[1:]], "first_due_ms") == 0, "what the store had no time for is not late"
    assert latest_ms([[look(1000), look(1700, first_lease_end_ms=1600)]], "first_lease_end_ms") == 100


def test_the_reckoning_finds_keys_left_behind(server: RealServer) -> None:
    with server.client() as client:
        base = "stanchion:{tasks:default}:"
        client.hset(base + "meta", "enqueued", 1)
        client.set(base + "armed", "1", ex=10)
        assert left_behind(client, "default") == []
        client.zadd(base + "heads:2", {"mail": 1})
        client.zadd(base + "leased", {"task": 1})
        assert left_behind(client, "default") == [base + "heads:2", base + "leased"]
