"""The command line against a running service: what it prints, and how it fails."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.conftest import SECRET
from tests.support.replicas import Replica
from tests.support.servers import RealServer


def stanchion(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "app", *words],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_keys_rotate_says_when_the_new_key_signs(server: RealServer, start_replica: Callable[..., Replica]) -> None:
    replica = start_replica(server.url, ADMIN_TOKEN="admin-token-for-tests")
    run = stanchion("keys", "rotate", STANCHION_URL=replica.url, ADMIN_TOKEN="admin-token-for-tests")
    assert run.returncode == 0, run.stderr
    assert "signs tickets from" in run.stdout
    passes = stanchion("keys", "rotate", "--passes", STANCHION_URL=replica.url, ADMIN_TOKEN="admin-token-for-tests")
    assert "signs passes from 900 s from now on" in passes.stdout, passes.stderr


def test_keys_from_the_environment_cannot_be_rotated_but_it_says_how(
    server: RealServer, start_replica: Callable[..., Replica]
) -> None:
    replica = start_replica(server.url, ADMIN_TOKEN="admin-token-for-tests", JWT_SECRET=SECRET)
    run = stanchion("keys", "rotate", STANCHION_URL=replica.url, ADMIN_TOKEN="admin-token-for-tests")
    assert run.returncode == 1
    assert "JWT_SECRET=new,old" in run.stderr


def test_a_service_that_is_not_there_is_one_clear_line() -> None:
    run = stanchion("keys", "rotate", STANCHION_URL="http://127.0.0.1:9")
    assert run.returncode == 1
    assert "cannot reach http://127.0.0.1:9" in run.stderr
    assert "Traceback" not in run.stderr


def test_bad_settings_are_all_reported_before_anything_starts(tmp_path: Path) -> None:
    run = stanchion("serve", PORT="many", WINDOW_SIZE="0", JWT_SECRET="short", DATA_DIR=str(tmp_path / "data"))
    assert run.returncode == 2
    for name in ("PORT", "WINDOW_SIZE", "JWT_SECRET"):
        assert name in run.stderr
    assert "short" not in run.stderr.replace("shorter", "")
    assert not (tmp_path / "data").exists()


def test_a_port_in_use_is_an_error_and_not_a_silent_exit(
    server: RealServer, start_replica: Callable[..., Replica]
) -> None:
    replica = start_replica(server.url)
    run = stanchion("serve", PORT=str(replica.port), REDIS_URL=server.url)
    assert run.returncode == 2
    assert "PORT: cannot listen on" in run.stderr
    assert "Traceback" not in run.stderr
