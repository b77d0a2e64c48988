"""What `stanchion serve` prints when it starts: where everything is, and to a person at a terminal the generated token."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.replicas import Replica

LAST_LINE = b"Ctrl-C"


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    """An embedded service that is not started yet."""
    replica = Replica(tmp_path, None)
    yield replica
    replica.close()


def kept_token(replica: Replica) -> Path:
    return Path(replica.env["DATA_DIR"]) / "admin-token"


def printed_at_a_terminal(replica: Replica) -> str:
    """Start it as a person does; what stands on the screen then."""
    ours, theirs = pty.openpty()
    try:
        replica.process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve"], env=replica.env, stdout=theirs, stderr=subprocess.DEVNULL
        )
        os.close(theirs)
        shown = b""
        while LAST_LINE not in shown:
            shown += os.read(ours, 10_000)
        replica.wait_until_ready()
        return shown.decode()
    finally:
        os.close(ours)


def admin_status(replica: Replica, token: str) -> int:
    return httpx.get(f"{replica.url}/admin/api/rooms", headers={"Authorization": f"Bearer {token}"}).status_code


def test_at_a_terminal_the_generated_token_is_shown(replica: Replica) -> None:
    shown = printed_at_a_terminal(replica)
    token = kept_token(replica).read_text().strip()
    assert token in shown
    assert str(kept_token(replica)) in shown
    assert admin_status(replica, token) == 200


def test_in_a_log_stands_where_it_is_kept(replica: Replica) -> None:
    replica.start()
    path = kept_token(replica)
    assert f"admin token   in {path}" in replica.log()
    assert path.read_text().strip() not in replica.log()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_token_that_the_operator_has_set_is_shown_nowhere(replica: Replica) -> None:
    replica.env["ADMIN_TOKEN"] = "a-token-that-the-operator-has-set"
    path = kept_token(replica)
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_text("one-of-an-earlier-start")
    shown = printed_at_a_terminal(replica)
    assert "admin token" not in shown
    assert replica.env["ADMIN_TOKEN"] not in shown
    assert admin_status(replica, replica.env["ADMIN_TOKEN"]) == 200
    assert admin_status(replica, "one-of-an-earlier-start") == 401


def test_a_token_file_that_was_never_written_is_written(replica: Replica) -> None:
    path = kept_token(replica)
    path.parent.mkdir(parents=True, mode=0o700)
    path.touch(mode=0o600)
    replica.start()
    assert admin_status(replica, path.read_text().strip()) == 200
