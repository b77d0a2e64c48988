"""Looking at a queue behind the product's back, and the invariants that must hold whenever one looks."""

from typing import Any

from app.store.keys import PERMANENT, task, task_queue
from app.tasks.scripts import SCRIPTS

FAKE_NOW = "local function now_ms() return tonumber(redis.call('GET', 'stanchion:test:now')) end\n"
"""A clock that a test moves by writing a key."""


def set_now(client: Any, now_ms: int) -> None:
    client.set("stanchion:test:now", now_ms, ex=3600)


class Scripts:
    """Runs the queue's scripts on a plain synchronous client."""

    def __init__(self, client: Any, queue: str = "default", fragments: dict[str, str] | None = None) -> None:
        self.client = client
        self.queue = queue
        self.texts = {name: script.render(fragments) for name, script in SCRIPTS.items()}

    def __call__(self, name: str, **args: Any) -> Any:
        packed = SCRIPTS[name].pack({"meta": task_queue(self.queue, "meta")}, args)
        return self.client.eval(self.texts[name], *packed)


def places(client: Any, queue: str) -> dict[str, list[str]]:
    """Which structures each id is in."""
    found: dict[str, list[str]] = {}
    for state in ("delayed", "leased", "done", "dead"):
        for id_ in client.zrange(task_queue(queue, state), 0, -1):
            found.setdefault(id_, []).append(state)
    for key in client.scan_iter(match=task_queue(queue, "ready:*").replace("[", "\\["), count=1000):
        for id_ in client.zrange(key, 0, -1):
            found.setdefault(id_, []).append("ready")
    return found


def check_invariants(client: Any, queue: str) -> None:
    """One place per id, matching its state; counters that add up; heads that are the heads; no stray key."""
    found = places(client, queue)
    prefix = task(queue, "")
    hashes = {key.removeprefix(prefix): client.hgetall(key) for key in client.scan_iter(match=prefix + "*", count=1000)}
    assert set(found) == set(hashes), "ids in a structure without a hash, or the other way round"
    assert {id_: held for id_, held in found.items() if len(held) != 1} == {}
    assert {
        id_: (fields["state"], found[id_]) for id_, fields in hashes.items() if [fields["state"]] != found[id_]
    } == {}
    counters = {name: int(value) for name, value in client.hgetall(task_queue(queue, "meta")).items()}
    by_state: dict[str, int] = {}
    by_type: dict[str, int] = {}
    for fields in hashes.values():
        by_state[fields["state"]] = by_state.get(fields["state"], 0) + 1
        if fields["state"] != "ready":
            name = f"{fields['state']}:{fields['type']}"
            by_type[name] = by_type.get(name, 0) + 1
    assert counters.get("ready", 0) == by_state.get("ready", 0)
    assert {name: int(n) for name, n in client.hgetall(task_queue(queue, "depth")).items()} == by_type
    assert counters.get("done_bytes", 0) == sum(
        int(fields["size"]) for fields in hashes.values() if fields["state"] == "done"
    )
    for priority in range(3):
        heads = dict(client.zrange(task_queue(queue, f"heads:{priority}"), 0, -1, withscores=True))
        firsts = {}
        for key in client.scan_iter(match=task_queue(queue, f"ready:{priority}:*"), count=1000):
            line = client.zrange(key, 0, -1, withscores=True)
            firsts[key.split(f"ready:{priority}:")[1]] = line[0][1]
            assert line == [(id_, float(hashes[id_]["seq"])) for id_, _ in line]
        assert heads == firsts
    stray = [key for key in client.scan_iter(count=1000) if client.ttl(key) == -1 and not PERMANENT.match(key)]
    assert stray == []
