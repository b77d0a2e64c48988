"""The simulations and the operating commands, run as users run them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.replicas import Replica
from tests.support.servers import RealServer

ADMIN = "admin-token-for-tests"


@pytest.fixture
def replicas(server: RealServer, start_replica: Callable[..., Replica]) -> list[Replica]:
    env = {
        "OPEN_ROUTES": "tasks,locks",
        "GRAB_SECONDS": "0.3",
        "PROCESSING_TIME_MS": "5",
        "ADMIN_TOKEN": ADMIN,
        "TASK_BACKOFF": "0.01",
    }
    return [start_replica(server.url, APP_NAME=f"WORKER-{number}", **env) for number in (1, 2)]


def stanchion(replica: Replica, tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "COLUMNS": "200",
        "STANCHION_URL": replica.url,
        "ADMIN_TOKEN": ADMIN,
    }
    return subprocess.run([sys.executable, "-m", "app", *words], env=env, capture_output=True, text=True, timeout=60)


def test_simulate_grab_shows_that_every_grab_got_its_own_task(replicas: list[Replica], tmp_path: Path) -> None:
    urls = [word for replica in replicas for word in ("--url", replica.url)]
    run = stanchion(replicas[0], tmp_path, "simulate", "grab", *urls)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "✓ every grab got a different task" in run.stdout
    assert "WORKER-1" in run.stdout
    assert "WORKER-2" in run.stdout
    few = stanchion(replicas[0], tmp_path, "simulate", "grab", *urls, "--tasks", "4", "-n", "9")
    assert few.returncode == 0, few.stdout + few.stderr
    assert "as many got one as there could be (4)" in few.stdout


@pytest.mark.parametrize(
    ("words", "route"),
    [
        (["grab", "--tasks", "3", "-n", "3"], "/grab-task"),
        (["tasks", "flood", "-n", "20"], "/dequeue"),
        (["locks", "light", "-n", "4", "-c", "2"], "/request/{id}"),
    ],
    ids=["grab", "tasks", "locks"],
)
def test_simulations_find_the_service_where_the_other_commands_do(
    replicas: list[Replica], tmp_path: Path, words: list[str], route: str
) -> None:
    run = stanchion(replicas[0], tmp_path, "simulate", *words)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f'route="{route}"' in httpx.get(f"{replicas[0].url}/metrics").text, "that service was asked, and no other"


@pytest.mark.parametrize("shape", ["failing", "poison"])
def test_simulate_tasks_checks_the_promises(replicas: list[Replica], tmp_path: Path, shape: str) -> None:
    urls = [word for replica in replicas for word in ("--url", replica.url)]
    run = stanchion(replicas[0], tmp_path, "simulate", "tasks", shape, *urls, "-n", "120")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("✓") == 4


def test_tasks_can_be_looked_after_from_a_terminal(replicas: list[Replica], tmp_path: Path) -> None:
    url = replicas[0].url
    task_id = httpx.post(f"{url}/task", json={"type": "email", "payload": {"to": "a"}}).json()["taskId"]
    assert httpx.get(f"{url}/dequeue").json()["id"] == task_id
    httpx.post(f"{url}/fail/{task_id}", json={"error": "no such address", "retry": False}).raise_for_status()
    assert "default" in stanchion(replicas[0], tmp_path, "tasks", "stats").stdout
    listed = stanchion(replicas[0], tmp_path, "tasks", "list", "--status", "failed", "--type", "email").stdout
    assert task_id in listed
    assert "no such address" in listed
    assert '"reason": "failed"' in stanchion(replicas[0], tmp_path, "tasks", "look", task_id).stdout
    assert "1 back in line" in stanchion(replicas[0], tmp_path, "tasks", "retry").stdout
    purge = ("tasks", "purge", "--queue", "default", "--state", "all")
    assert "1 deleted" in stanchion(replicas[0], tmp_path, *purge, "--yes").stdout
    missing = stanchion(replicas[0], tmp_path, "tasks", "look", task_id)
    assert (missing.returncode, "no longer kept" in missing.stderr) == (1, True)
