"""The embedded server with real processes: nothing lost, never two on one folder, always a clear word."""

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import redis

from app.errors import ConfigError
from app.store import embedded
from app.store.embedded import EmbeddedStore, embedded_store
from tests.support.replicas import Replica
from tests.support.servers import free_port
from tests.support.waiting import eventually

Start = Callable[..., Replica]


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder for the data; whatever server is left on it afterwards is ended."""
    folder = tmp_path / "data"
    yield folder
    pid = server_pid(folder)
    if pid:
        os.kill(pid, signal.SIGKILL)


def server_pid(data_dir: Path) -> int:
    """The server's process, by its pid file; 0 when there is none that lives."""
    try:
        pid = int((data_dir / "valkey.pid").read_text())
        os.kill(pid, 0)
        return pid if b"valkey" in Path(f"/proc/{pid}/cmdline").read_bytes() else 0
    except (OSError, ValueError):
        return 0


def client_of(url: str) -> Any:
    return redis.Redis(unix_socket_path=url.removeprefix("unix://"), socket_timeout=5, decode_responses=True)


def client_in(data_dir: Path) -> Any:
    return client_of(f"unix://{data_dir / 'valkey.sock'}")


def serve(data_dir: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """`stanchion serve` that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "app", "serve"],
        env={"PATH": os.environ["PATH"], "HOME": str(data_dir.parent), "PORT": "0", "DATA_DIR": str(data_dir), **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_data_is_kept_from_one_start_to_the_next(data_dir: Path) -> None:
    with embedded_store(data_dir) as store, client_of(store.url) as client:
        client.set("k", "kept")
    assert server_pid(data_dir) == 0
    with embedded_store(data_dir) as store, client_of(store.url) as client:
        assert not store.adopted
        assert client.get("k") == "kept"


def test_only_the_owner_can_look_in(data_dir: Path) -> None:
    with embedded_store(data_dir) as store, client_of(store.url) as client:
        client.set("k", "v")
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
        open_to_others = {
            str(path.relative_to(data_dir)): oct(path.stat().st_mode)
            for path in data_dir.rglob("*")
            if stat.S_IMODE(path.stat().st_mode) & 0o077
        }
        assert not open_to_others


def test_a_long_path_gets_a_socket_elsewhere(tmp_path: Path) -> None:
    data_dir = tmp_path / ("long-" * 20) / ("longer-" * 10)
    with embedded_store(data_dir) as store, client_of(store.url) as client:
        assert client.ping()
        assert str(data_dir) not in store.url
        socket_folder = Path(store.url.removeprefix("unix://")).parent
        assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
    socket_folder.rmdir()


def test_a_server_that_dies_is_started_again_with_its_data(data_dir: Path) -> None:
    with embedded_store(data_dir) as store, client_of(store.url) as client:
        client.set("k", "kept")
        os.kill(store.pid, signal.SIGKILL)
        found = eventually_sync(lambda: server_pid(data_dir) not in (0, store.pid) and client.get("k"))
        assert found == "kept"
    assert server_pid(data_dir) == 0


def test_a_server_that_a_slow_disk_keeps_from_answering_at_first_is_waited_for(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silences, ask = ["silent"] * 3, embedded._ask
    monkeypatch.setattr(embedded, "_ask", lambda *where: silences.pop() if silences else ask(*where))
    with embedded_store(data_dir) as store, client_of(store.url) as client:
        assert client.ping()
    assert not silences


def test_a_service_goes_on_when_its_store_has_died(data_dir: Path, start_replica: Start) -> None:
    service = start_replica(None, DATA_DIR=str(data_dir))
    first = server_pid(data_dir)
    os.kill(first, signal.SIGKILL)
    eventually_sync(lambda: "embedded_store_started_again" in service.log())
    assert server_pid(data_dir) not in (0, first)
    eventually_sync(lambda: httpx.post(f"{service.url}/join", timeout=15).status_code in (200, 201))
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    assert server_pid(data_dir) == 0


def eventually_sync(check: Callable[[], Any]) -> Any:
    return anyio.run(partial(eventually, check, within_s=30))  # a start that fails is tried again after five seconds


def test_a_second_service_on_the_same_folder_is_refused_by_name(data_dir: Path, start_replica: Start) -> None:
    first = start_replica(None, DATA_DIR=str(data_dir))
    second = serve(data_dir)
    assert second.returncode == 2
    assert f"DATA_DIR: {data_dir} is in use by another stanchion (process {first.process.pid})" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_killed_services_server_is_taken_over_with_all_its_data(data_dir: Path, start_replica: Start) -> None:
    first = start_replica(None, DATA_DIR=str(data_dir))
    with client_in(data_dir) as client:
        client.set("k", "not yet on disk, maybe")
        first.kill()
        left_behind = server_pid(data_dir)
        assert left_behind
        second = start_replica(None, DATA_DIR=str(data_dir))
        assert "server taken over" in second.log()
        assert server_pid(data_dir) == left_behind
        assert client.get("k") == "not yet on disk, maybe"
        second.signal(signal.SIGTERM)
        assert second.wait() == 0
    assert server_pid(data_dir) == 0


def test_nothing_is_answered_before_it_is_on_disk_unless_wished(data_dir: Path, start_replica: Start) -> None:
    first = start_replica(None, DATA_DIR=str(data_dir))
    with client_in(data_dir) as client:
        assert client.config_get("appendfsync") == {"appendfsync": "always"}
        first.kill()
        second = start_replica(None, DATA_DIR=str(data_dir), STORE_SYNC="everysec")
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}, "also of a server taken over"
        second.signal(signal.SIGTERM)
        assert second.wait() == 0


def test_a_server_left_behind_that_does_not_answer_is_refused_with_its_pid(
    data_dir: Path, start_replica: Start
) -> None:
    start_replica(None, DATA_DIR=str(data_dir)).kill()
    left_behind = server_pid(data_dir)
    os.kill(left_behind, signal.SIGSTOP)
    second = serve(data_dir)
    assert second.returncode == 2
    assert f"process {left_behind}" in second.stderr
    assert f"kill -9 {left_behind}" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_pid_file_that_names_somebody_else_is_ignored(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "valkey.pid").write_text(str(os.getpid()))
    with embedded_store(data_dir) as store:
        assert not store.adopted


def test_a_folder_that_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = serve(tmp_path / "file" / "data")
    assert refused.returncode == 2
    assert re.fullmatch(r"stanchion cannot start:\n  DATA_DIR: cannot use \S+: Not a directory\n", refused.stderr)


def test_data_that_cannot_be_loaded_names_the_log(data_dir: Path) -> None:
    with embedded_store(data_dir) as store, client_of(store.url) as client:
        client.set("k", "v")
    manifest = data_dir / "appendonlydir" / "appendonly.aof.manifest"
    manifest.write_text("this is no manifest\n")
    with pytest.raises(ConfigError, match=r"could not start on .*; see .*valkey\.log"), embedded_store(data_dir):
        raise AssertionError("it must not come to this")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_stop_the_service_first_and_lose_nothing(data_dir: Path, number: signal.Signals) -> None:
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "app", "serve"],
        env={"PATH": os.environ["PATH"], "HOME": str(data_dir.parent), "PORT": str(port), "DATA_DIR": str(data_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            while "Ctrl-C" not in process.stdout.readline():
                assert process.poll() is None, process.stderr and process.stderr.read()
            with client_in(data_dir) as client:
                client.set("k", "last word")
            os.killpg(process.pid, number)  # what a terminal does: everyone in the foreground group gets it
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
            assert "store_is_away" not in errors
            assert "embedded_store_died" not in errors
            assert "Traceback" not in errors
        finally:
            process.kill()
    assert server_pid(data_dir) == 0
    with embedded_store(data_dir) as store, client_of(store.url) as client:
        assert client.get("k") == "last word"


def test_what_is_yielded_says_where_it_is(data_dir: Path) -> None:
    with embedded_store(data_dir) as store:
        assert store == EmbeddedStore(f"unix://{data_dir}/valkey.sock", data_dir, server_pid(data_dir), adopted=False)
