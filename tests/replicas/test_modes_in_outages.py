"""Every admission mode through every outage: batches, rate, cap, both, passing over and passthrough.

Three replicas, seven rooms, a small crowd in each that asks, enters and leaves without pause.
"""

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.replicas.modes import (
    MODES,
    Ledger,
    Seen,
    Site,
    admitted_over_the_cap,
    faster_than,
    given_twice,
    longest_free_ms,
    over_the_cap,
)
from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.waiting import SLACK_S

AWAY_S = 0.7
"""How long the store is away."""
LEADER_KEY = "stanchion:{replicas}:leader"


class Faults:
    """What can happen to a site; each returns when it has happened, or is undone when the run is over."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.server = site.server
        self._over = threading.Event()
        self._meddlers: list[threading.Thread] = []

    def killed(self) -> None:
        """The store is killed, and comes back with all that it had acknowledged."""
        self.server.kill()
        time.sleep(AWAY_S)
        self.server.start()

    def frozen(self) -> None:
        self.server.freeze()
        time.sleep(AWAY_S)
        self.server.thaw()

    def wiped(self) -> None:
        """The store comes back empty."""
        self.server.kill()
        self.server.wipe()
        time.sleep(AWAY_S)
        self.server.start()

    def set_back(self) -> None:
        """The store comes back as it was a while ago."""
        kept = self.server.folder.with_suffix(".kept")
        shutil.copytree(self.server.folder, kept)
        time.sleep(2 * AWAY_S)
        self.server.kill()
        self.server.wipe()
        shutil.copytree(kept, self.server.folder, dirs_exist_ok=True)
        self.server.start()

    def flushed(self) -> None:
        """Everything is gone, but the store's process has not changed."""
        with self.server.client() as client:
            client.flushall()

    def leader_killed(self) -> None:
        # A line of the log says when a replica began to lead, and in which term.
        terms = {replica: re.findall(r"leading.*term\D+(\d+)", replica.log()) for replica in self.site.replicas}
        leader = max((replica for replica in terms if terms[replica]), key=lambda replica: int(terms[replica][-1]))
        leader.kill()
        self.site.replicas = [replica for replica in self.site.replicas if replica is not leader]

    def two_leaders(self) -> None:
        """Again and again another replica begins to lead while the one before has not noticed."""
        self._meddlers.append(threading.Thread(target=self._unseat))
        self._meddlers[-1].start()

    def _unseat(self) -> None:
        with self.server.client() as client:
            while not self._over.wait(0.2):
                client.delete(LEADER_KEY)

    @contextmanager
    def undone(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._over.set()
            for meddler in self._meddlers:
                meddler.join()


LOST = {"wiped", "set_back", "flushed"}
"""Faults after which the store has lost writes that it had acknowledged."""


@pytest.fixture
def site(own_server: RealServer, start_replica: Callable[..., Replica]) -> Site:
    replicas = [start_replica(own_server.url, wait=False, ADMIN_TOKEN="admin-token-for-tests") for _ in range(3)]
    for replica in replicas:
        replica.wait_until_ready()
    return Site(own_server, replicas)


@pytest.mark.parametrize("fault", ["killed", "frozen", "wiped", "set_back", "flushed", "leader_killed", "two_leaders"])
async def test_every_mode_keeps_its_promises_when_the_store_or_the_leader_is(
    fault: str, site: Site, record_property: Callable[[str, object], None]
) -> None:
    async with httpx.AsyncClient(timeout=10) as client:
        await site.make(client)
    faults = Faults(site)
    with faults.undone():
        await site.run(getattr(faults, fault), visits_after=6, within_s=40)

    free_ms = {}
    for mode, settings in MODES.items():
        ledger, cap = site.ledgers[mode], settings.get("maxActive")
        assert not given_twice(ledger), mode
        if "ratePerMinute" in settings:
            assert faster_than(ledger, settings["ratePerMinute"], settings["rateBurst"]) is None, mode
        if cap is not None:
            assert not admitted_over_the_cap(ledger, cap), mode
            if fault not in LOST:
                assert not over_the_cap(ledger, cap), mode
        if mode in ("cap", "pass-over"):
            free_ms[mode] = longest_free_ms(ledger, cap)
    assert site.ledgers["pass-over"].told["passed"], "somebody was passed over, and came back"
    record_property("longest_free_ms", free_ms)
    print(json.dumps({"fault": fault, "longest_free_ms": free_ms}))
    assert max(free_ms.values()) < SLACK_S * 1000, "far from a line that is stuck; the figures are printed"


def seen(now_ms: int, *, turns: int = 0, last: int = 0, edge: int = 0, healing: int = 0) -> Seen:
    return Seen(now_ms, turns, 0, 0, 1, last, edge, 0, healing, "")


def test_the_checks_find_what_they_look_for() -> None:
    twice = Ledger(given=[(1, 1), (1, 2), (2, 1), (1, 2)])
    assert given_twice(twice) == [(1, 2)]

    fuller = Ledger(seen=[seen(0, turns=3), seen(10, turns=2), seen(20, turns=3)])
    assert over_the_cap(fuller, 2) == [fuller.seen[0], fuller.seen[2]]
    assert not admitted_over_the_cap(fuller, 2), "the second was at the cap, not over it"
    assert admitted_over_the_cap(Ledger(seen=[seen(0, turns=3), seen(10, turns=4)]), 2)
    assert not admitted_over_the_cap(Ledger(seen=[seen(0, turns=3), seen(10, turns=4, healing=99)]), 2)

    moves = [seen(ms, edge=edge) for ms, edge in ((0, 0), (4990, 0), (5000, 2), (6000, 3), (7000, 4))]
    even = Ledger(seen=moves, given=[(1, position) for position in range(1, 9)])
    assert faster_than(even, rate_per_minute=60, burst=2) is None
    even.seen.append(seen(7500, edge=5))
    assert faster_than(even, rate_per_minute=60, burst=2) == (7500, 1)
    late = Ledger(seen=[seen(5000, edge=5), seen(6000, edge=6)], given=even.given)
    assert faster_than(late, rate_per_minute=60, burst=2) is None, "what came before the first look is not judged"

    free = [seen(ms, turns=1, last=9, edge=8) for ms in range(100, 500, 100)]
    assert longest_free_ms(Ledger(seen=free), cap=2) == 300
    assert longest_free_ms(Ledger(seen=free), cap=1) == 0
    assert (
        longest_free_ms(Ledger(seen=[*free[:2], *(look._replace(now_ms=look.now_ms + 900) for look in free[2:])]), 2)
        == 100
    )
