"""The soak: producers and workers over HTTP while workers, replicas and the store are killed, then the reckoning.

`python -m tests.tasks.soak 600` runs it for ten minutes (`make chaos`); a test runs a short one.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.client.tasks import TaskClient
from app.errors import StanchionError
from app.tasks.policy import ROTATION
from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.waiting import SLACK_S
from tests.tasks.looking import check_invariants
from tests.tasks.watch import (
    TaskWatch,
    fence_fell,
    latest_ms,
    left_behind,
    started_early,
    starved,
    tokens_that_did_not_rise,
    unbalanced,
)

ROOT = Path(__file__).parents[2]
TYPES = ["quick"] * 12 + ["slow"] * 3 + ["flaky"] * 4 + ["poison"]
MAX_EXPIRIES = 4
MOST_PENDING = 500
START_S = 120.0
"""A replica starts in a second, but has taken thirty on a machine that was full."""
LATE_MS = 1000
LEASE_MS = 2000


@dataclass
class Soak:
    """One run."""

    folder: Path
    server: RealServer
    seconds: float
    seed: int = 0
    replicas: list[Replica] = field(default_factory=list)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    acknowledged: dict[int, str] = field(default_factory=dict)
    """Number in the payload -> id that the service gave."""
    kinds: dict[int, str] = field(default_factory=dict)
    delays_s: dict[int, float] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)
    number: int = 0
    stopping: bool = False

    async def run(self) -> dict[str, Any]:
        """Do it all; returns the summary, or raises AssertionError with what does not hold."""
        chance = random.Random(self.seed)
        for _ in range(2):
            replica = Replica(
                self.folder / "replicas",
                self.server.url,
                OPEN_ROUTES="tasks",
                TASK_LEASE=str(LEASE_MS / 1000),
                TASK_BACKOFF="0.05",
                TASK_MAX_EXPIRIES=str(MAX_EXPIRIES),
                TASK_KEEP_COUNT="1000000",
            )
            self.replicas.append(replica.start(wait=False))
        loops: list[asyncio.Future[None]] = []
        try:
            for replica in self.replicas:
                await asyncio.to_thread(replica.wait_until_ready, START_S)
            self.workers = [self._start_worker(place) for place in range(3)]
            producers = [asyncio.ensure_future(self._produce(place, chance)) for place in range(2)]
            loops = [*producers, asyncio.ensure_future(self._keep_workers())]
            with TaskWatch(self.server) as self.watch:
                await self._chaos(chance)
                self.stopping = True
                await asyncio.gather(*producers)
                await self._until_drained()
            return self._reckon()
        finally:
            for loop in loops:  # before the workers end, or they would be started again
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            for worker in self.workers:
                worker.kill()
                worker.wait()
            for replica in self.replicas:
                replica.close()

    def _start_worker(self, place: int) -> subprocess.Popen[bytes]:
        env = {
            "PATH": os.environ["PATH"],
            "QUEUE_URL": self.replicas[place % 2].url,
            "WORKER_ID": f"soak-{place}",
            "SOAK_LOG": str(self.folder / "starts.log"),
        }
        command = [sys.executable, "-m", "app", "worker", "--handlers", "tests.tasks.soak_handlers:work"]
        with (self.folder / "workers.log").open("ab") as log:
            return subprocess.Popen([*command, "--concurrency", "4"], cwd=ROOT, env=env, stdout=log, stderr=log)

    async def _keep_workers(self) -> None:
        while True:
            for place, worker in enumerate(self.workers):
                if worker.poll() is not None:
                    self.workers[place] = self._start_worker(place)
            await asyncio.sleep(0.2)

    async def _produce(self, place: int, chance: random.Random) -> None:
        async with TaskClient(self.replicas[place].url) as client:
            while not self.stopping:
                tasks = [self._task(chance) for _ in range(chance.choice([1] * 20 + [5] * 6 + [40]))]
                while True:  # an unknown outcome is asked again; the key keeps it from counting twice
                    try:
                        taken = await client.call("POST", "/tasks", {"tasks": tasks})
                        break
                    except StanchionError:
                        await asyncio.sleep(0.1)
                for task, answer in zip(tasks, taken["tasks"], strict=True):
                    self.acknowledged[task["payload"]["n"]] = answer["taskId"]
                # What piles up faster than killed workers can work would not be done in time at the end.
                await asyncio.sleep(1 if taken["stats"]["pending"] > MOST_PENDING else chance.uniform(0, 0.06))

    def _task(self, chance: random.Random) -> dict[str, Any]:
        self.number += 1
        kind = "crash" if self.number == 20 else chance.choice(TYPES)
        self.kinds[self.number] = kind
        self.delays_s[self.number] = chance.choice([0, 0, 0, 0, 1.5])
        return {
            "type": kind,
            "payload": {"n": self.number},
            "priority": chance.choice(["high", "high", "normal", "low"]),
            "delaySeconds": self.delays_s[self.number],
            "idempotencyKey": f"n-{self.number}",
        }

    async def _chaos(self, chance: random.Random) -> None:
        started = time.monotonic()
        plan = ["worker", "store", "worker", "flush", "replica", "worker", "store"]
        step = 0
        while time.monotonic() - started < self.seconds or step < len(plan):
            await asyncio.sleep(chance.uniform(0.8, 1.6))
            what = plan[step % len(plan)]
            step += 1
            self.kills[what] += 1
            if what == "worker":
                chance.choice(self.workers).kill()
            elif what == "flush":
                with self.server.client() as client:
                    client.script_flush()
            elif what == "replica":
                victim = chance.choice(self.replicas)
                await asyncio.to_thread(victim.kill)
                victim.start(wait=False)
                await asyncio.to_thread(victim.wait_until_ready, START_S)
            else:
                await asyncio.to_thread(self.server.kill)
                await asyncio.sleep(chance.uniform(0.1, 0.6))
                await asyncio.to_thread(self.server.start)

    async def _until_drained(self, within_s: float = 90.0) -> None:
        deadline = time.monotonic() + within_s
        async with TaskClient(self.replicas[0].url) as client:
            while True:
                stats: dict[str, Any] = {}
                try:
                    stats = await client.stats("default")
                    if stats["pending"] == stats["processing"] == 0:
                        return
                except StanchionError:
                    pass
                assert time.monotonic() < deadline, f"the queue did not drain: {stats}"
                await asyncio.sleep(0.1)

    def _check_looks(self) -> dict[str, int]:
        """What must hold at every moment; returns how late things were at the worst."""
        looks = self.watch.stretches
        assert unbalanced(looks) == [], "a task was in no place, or in two"
        assert fence_fell(looks) == []
        passed_over = starved(looks, len(ROTATION))
        assert passed_over == {}, f"low tasks that did not get their turn: {passed_over}"
        late_ms = {
            "delayed tasks at most late by ms": latest_ms(looks, "first_due_ms"),
            "leases at most taken back late by ms": latest_ms(looks, "first_lease_end_ms"),
        }
        assert max(late_ms.values()) < LATE_MS + SLACK_S * 1000, late_ms
        return late_ms

    def _reckon(self) -> dict[str, Any]:
        with self.server.client() as client:
            check_invariants(client, "default")
            assert left_behind(client, "default") == []
            prefix = "stanchion:{tasks:default}:t:"
            stored = {
                key.removeprefix(prefix): client.hgetall(key)
                for key in client.scan_iter(match=prefix + "*", count=1000)
            }
            counters = {name: int(value) for name, value in client.hgetall("stanchion:{tasks:default}:meta").items()}
        by_number: dict[int, list[str]] = {}
        for task_id, task in stored.items():
            by_number.setdefault(json.loads(task["payload"])["n"], []).append(task_id)
        lost = {number for number, task_id in self.acknowledged.items() if task_id not in stored}
        unexpected = {task_id for task_id in stored if task_id not in set(self.acknowledged.values())}
        assert lost == set(), f"{len(lost)} acknowledged tasks were lost"
        assert unexpected == set()
        assert all(len(ids) == 1 for ids in by_number.values()), "an idempotency key let a task in twice"
        states = Counter(task["state"] for task in stored.values())
        assert set(states) <= {"done", "dead"}
        assert counters["enqueued"] == len(stored) == len(self.acknowledged)
        assert (counters.get("completed", 0), counters.get("died", 0)) == (states["done"], states["dead"])
        late_ms = self._check_looks()
        for number, kind in self.kinds.items():
            task = stored[self.acknowledged[number]]
            if kind == "crash":
                assert (task["state"], task["reason"]) == ("dead", "lease")
            if kind == "poison":
                assert task["state"] == "dead"
            if kind in ("quick", "slow") and task["state"] == "dead":
                assert int(task["expiries"]) == MAX_EXPIRIES
        lines = (line.split() for line in (self.folder / "starts.log").read_text().splitlines())
        starts = [(task_id, int(token), int(at_ms)) for task_id, token, at_ms in lines]
        assert tokens_that_did_not_rise(starts, LEASE_MS) == [], "tokens did not rise"
        due_ms = {
            task_id: int(stored[task_id]["created"]) + round(1000 * self.delays_s[number])
            for number, task_id in self.acknowledged.items()
        }
        assert started_early(starts, due_ms) == [], "tasks were started before their time"
        return {
            "acknowledged": len(self.acknowledged),
            "done": states["done"],
            "dead": states["dead"],
            "handler starts": len(starts),
            **late_ms,
            "leases that ran out": counters.get("expiries", 0),
            "lost": 0,
            "unexpected": 0,
            "kills": dict(self.kills),
        }


def main() -> None:
    """`python -m tests.tasks.soak SECONDS [SEED]`."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    with tempfile.TemporaryDirectory() as folder:
        server = RealServer(Path(folder) / "store", append_only=True).start()
        try:
            print(f"soaking for {seconds:.0f} s, seed {seed}")
            print(json.dumps(asyncio.run(Soak(Path(folder), server, seconds, seed).run()), indent=2))
        finally:
            server.kill()


if __name__ == "__main__":
    main()
