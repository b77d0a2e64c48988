"""The command line against a running service: what it prints, and how it fails."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from app.cli.serve import _kept_token
from tests.conftest import SECRET
from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.upstreams import running_upstream


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


def test_an_address_where_something_else_answers_is_one_clear_line() -> None:
    async def page(_: Request) -> Response:
        return PlainTextResponse("<!doctype html>")

    with running_upstream(page) as url:
        other = stanchion("rooms", "list", STANCHION_URL=url)
        token = stanchion("rooms", "list", STANCHION_URL=url, ADMIN_TOKEN="tökén-that-no-header-may-hold")
    assert (other.returncode, token.returncode) == (1, 1)
    assert f"what answers at {url} is no Stanchion" in other.stderr
    assert "holds characters that cannot be sent" in token.stderr
    bad = stanchion("rooms", "list", STANCHION_URL="http://localhost:port")
    assert bad.returncode == 1
    assert "STANCHION_URL: http://localhost:port cannot be used" in bad.stderr
    assert "Traceback" not in other.stderr + token.stderr + bad.stderr


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


@pytest.mark.parametrize("what", ["crowd", "locks", "tasks", "grab"])
def test_every_simulation_goes_to_the_service_that_the_other_commands_use(what: str) -> None:
    bad = stanchion("simulate", what, "--url", "localhost:3000")
    assert bad.returncode == 1
    assert "The URL 'localhost:3000' cannot be used" in bad.stderr
    assert "Traceback" not in bad.stderr
    words = ("-n", "1")
    away = stanchion("simulate", what, *words, STANCHION_URL="http://127.0.0.1:9")
    assert away.returncode == 1
    assert "http://127.0.0.1:9" in away.stdout + away.stderr
    assert "Traceback" not in away.stderr


def test_a_token_file_that_was_left_empty_by_a_start_that_was_cut_short_gets_a_token(tmp_path: Path) -> None:
    path = tmp_path / "admin-token"
    path.touch(mode=0o600)
    token = _kept_token(path)
    assert len(token) > 30
    assert _kept_token(path) == token
    assert path.stat().st_mode & 0o077 == 0
