"""Processes under test: started on free ports of loopback, their CPU time read from /proc, ended at the end."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import redis

from app.store.embedded import server_binary

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_START_LIMIT_S = 30.0


@dataclass(frozen=True)
class Running:
    """A process under test."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        """Where its HTTP is, if it speaks that."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_s(self) -> float:
        """CPU seconds that the process has used so far, in user and kernel mode, all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def memory_bytes(self) -> int:
        """Resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024


@dataclass(frozen=True)
class RunningStore(Running):
    """A store server under test."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> Any:
        """A synchronous client, to look at the server and to empty it."""
        return redis.Redis(port=self.port, socket_timeout=10, decode_responses=True)


def two_cores() -> tuple[int, int]:
    """Two cores that this process may use; one and the same when it has no more."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Keep this process, and every process that it starts meanwhile, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def store_server() -> Iterator[RunningStore]:
    """The Valkey server that the product embeds, with the same append-only file, on a TCP port."""
    with TemporaryDirectory(prefix="stanchion-bench-") as folder:
        port = free_port()
        options = {"port": port, "bind": "127.0.0.1", "dir": folder, "save": "", "appendonly": "yes"}
        options["appendfsync"] = "always"  # as `STORE_SYNC` has it by default
        command = [
            str(server_binary()),
            *(word for name, value in options.items() for word in (f"--{name}", str(value))),
        ]
        with running(command, {}) as pid:
            store = RunningStore(pid, port)
            _wait(lambda: bool(store.client().ping()))
            yield store


@contextmanager
def replica(store: RunningStore, **env: str) -> Iterator[Running]:
    """One `stanchion serve` on the store, ready."""
    port = free_port()
    settings = {"REDIS_URL": store.url, "PORT": str(port), "LOG_LEVEL": "warning", **env}
    with running([sys.executable, "-m", "app", "serve"], settings) as pid:
        started = Running(pid, port)
        _wait(lambda: fetch(started.url + "/readyz?strict") != b"")
        yield started


@contextmanager
def bare_app(*words: str) -> Iterator[Running]:
    """The yardstick of `benchmarks.bare`; `plain` asks for uvicorn's own HTTP protocol."""
    port = free_port()
    with running([sys.executable, "-m", "benchmarks.bare", str(port), *words], {}) as pid:
        started = Running(pid, port)
        _wait(lambda: fetch(started.url) != b"")
        yield started


def fetch(url: str) -> bytes:
    """The body behind an http URL of loopback."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        body: bytes = answer.read()
        return body


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], env: Mapping[str, str]) -> Iterator[int]:
    """A process for the length of the block; gives its id."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    process = subprocess.Popen(command, env={**kept, **env}, stdout=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def _wait(is_up: Any) -> None:
    deadline_s = time.monotonic() + _START_LIMIT_S
    while True:
        try:
            if is_up():
                return
        except (OSError, redis.RedisError):
            if time.monotonic() > deadline_s:
                raise
        time.sleep(0.02)
