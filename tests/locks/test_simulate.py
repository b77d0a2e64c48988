"""`stanchion simulate locks`: its figures, and a small storm on a real replica."""

import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from app.simulate.storm import Outcome, overlaps_of, overtaken_of, summarise
from tests.support.replicas import Replica
from tests.support.servers import RealServer


def hold(fence: int, granted_ms: int, worked_ms: float, waited_s: float = 0.5) -> Outcome:
    return Outcome("1", 200, 1.0, waited_s, worked_ms / 1000, granted_ms, fence)


@pytest.mark.parametrize(
    ("holds", "overlaps"),
    [
        ([hold(1, 1000, 100), hold(2, 1100, 100), hold(3, 1200, 5)], 0),
        ([hold(2, 1100, 100), hold(1, 1000, 100)], 0),
        ([hold(1, 1000, 100), hold(2, 1050, 10)], 1),
        ([hold(1, 1000, 100.9), hold(2, 1100, 10)], 0),
        ([hold(1, 1000, 1), hold(1, 2000, 1)], 1),
    ],
)
def test_overlapping_holds_are_found(holds: list[Outcome], overlaps: int) -> None:
    assert overlaps_of(holds) == overlaps


def test_who_was_served_after_a_later_one_was_overtaken() -> None:
    in_turn = [hold(1, 1000, 1, waited_s=0.0), hold(2, 3000, 1, waited_s=1.0), hold(3, 3001, 1, waited_s=1.05)]
    assert overtaken_of(in_turn) == 0
    assert (
        overtaken_of([hold(1, 5000, 1, waited_s=0.0), hold(2, 5001, 1, waited_s=4.0), hold(3, 5002, 1, waited_s=3.0)])
        == 2
    )


def test_failures_are_counted_apart() -> None:
    summary = summarise([hold(1, 0, 30), Outcome("2", 504, 1), Outcome("2", 0, 1)], 2.0)
    assert summary.by_status == {200: 1, 504: 1, 0: 1}
    assert sum(summary.waits) == 1
    assert summary.ideal_s == pytest.approx(0.03)


def test_a_storm_over_two_replicas_is_served_without_overlaps(
    server: RealServer, start_replica: Callable[..., Replica]
) -> None:
    env = {"PROCESSING_TIME_MS": "5", "OPEN_ROUTES": "locks"}
    urls = [start_replica(server.url, **env).url for _ in range(2)]
    run = subprocess.run(
        [sys.executable, "-m", "app", "simulate", "locks", "light", "-n", "80", "-c", "20"]
        + [part for url in urls for part in ("--url", url)],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "COLUMNS": "120"},
        timeout=110,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "80 × 200" in run.stdout
    assert "No two of 80 holds overlapped" in run.stdout
    assert re.search(r"█", run.stdout)


def test_a_service_that_is_not_there_fails_the_storm() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "app", "simulate", "locks", "light", "-n", "3", "--url", "http://127.0.0.1:9"],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert run.returncode == 1
    assert "no answer" in run.stdout
