"""Real replicas: `stanchion serve` processes on ports of their own."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.support.servers import free_port


class Replica:
    """One `stanchion serve` process against a store."""

    def __init__(self, folder: Path, store_url: str | None, **env: str) -> None:
        self.port = int(env.pop("PORT", 0)) or free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.log_path = folder / f"replica-{self.port}.log"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PORT": str(self.port),
            "LOG_LEVEL": "info",
            "LOG_FORMAT": "console",
            **({"REDIS_URL": store_url} if store_url else {"DATA_DIR": str(folder / "data")}),
            **env,
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, wait: bool = True) -> "Replica":
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "serve"], env=self.env, stdout=log, stderr=log
            )
        if wait:
            self.wait_until_ready()
        return self

    def wait_until_ready(self, within_s: float = 45.0) -> None:
        """Until it has found the store, and gives out places: after a first start, a room is checked before it does.

        That may take longer than a visitor's join is held, when a replica that has only just started is waited for.
        """
        deadline = time.monotonic() + within_s
        while True:
            assert self.process is not None
            assert self.process.poll() is None, f"the replica ended: {self.log()}"
            try:
                if httpx.get(f"{self.url}/readyz?strict", timeout=2).status_code == 200 and not self._healing():
                    return
            except httpx.HTTPError:
                pass
            assert time.monotonic() < deadline, f"the replica did not become ready: {self.log()}"
            time.sleep(0.05)

    def _healing(self) -> bool:
        page = httpx.get(f"{self.url}/metrics", timeout=2).text
        return re.search(r"^stanchion_room_healing\{.*\} 1", page, re.MULTILINE) is not None

    def log(self) -> str:
        return self.log_path.read_text()

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def wait(self, within_s: float = 30.0) -> int:
        assert self.process is not None
        return self.process.wait(within_s)

    def close(self) -> None:
        """End it whatever state it is in."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
