"""Real store servers for tests: started, stopped, killed and restarted as the test says."""

import fcntl
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis

from app.store.embedded import server_binary


def _candidates() -> Iterator[int]:
    """Every port of this process's share of 20000 to 31999, over and over."""
    share = 12_000 // 8
    mine = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    for step in itertools.count(random.SystemRandom().randrange(share)):  # a second test run begins elsewhere
        yield 20_000 + mine * share + step % share


_ports = _candidates()
_given_out = os.open(Path(tempfile.gettempdir()) / f"stanchion-test-ports-{os.getuid()}", os.O_RDWR | os.O_CREAT, 0o600)
"""Byte by byte the ports that test runs on this machine have given out of late, each locked by its run."""
MOST_LOCKED = 200
"""How many a process keeps locked: a whole run's ports would leave the next to none for a run beside it."""
_locked: deque[int] = deque()


def free_port() -> int:
    """A TCP port of loopback that is free, and stays so while a server is restarted on it.

    Below those that the kernel gives to outgoing connections: one of these could take the port before the server does.
    So could a second test run, while the server is still starting: ready is then whoever answers first.
    """
    for port in itertools.islice(_ports, 3_000):
        with socket.socket() as probe, suppress(OSError):
            fcntl.lockf(_given_out, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            _locked.append(port)
            if len(_locked) > MOST_LOCKED:
                fcntl.lockf(_given_out, fcntl.LOCK_UN, 1, _locked.popleft())
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port of this process's share is free")


class RealServer:
    """One Valkey process on a TCP port and a folder of its own; the port stays the same over restarts."""

    def __init__(self, folder: Path, *, port: int | None = None, append_only: bool = False, **options: str) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(folder),
            "save": "",
            "appendonly": "yes" if append_only else "no",
            "appendfsync": "always",  # what it has answered, it still has after a kill
            "logfile": str(folder / "server.log"),
            **{name.replace("_", "-"): value for name, value in options.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *, wait: bool = True) -> "RealServer":
        command = [str(server_binary())]
        for name, value in self.options.items():
            command += [f"--{name}", value]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if wait:
            self.wait_until_up()
        return self

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return
            except redis.RedisError:
                assert time.monotonic() < deadline, f"the server did not come up; see {self.folder}/server.log"
                time.sleep(0.01)

    def client(self) -> Any:
        """A synchronous client, for looking at and changing the server behind the product's back."""
        return redis.Redis(port=self.port, socket_timeout=5, decode_responses=True)

    def stop(self) -> None:
        """An orderly stop."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: whatever was not written is gone."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Forget everything on disk (the server must be down)."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(20)
            self.process = None
