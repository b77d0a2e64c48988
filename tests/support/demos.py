"""`stanchion demo` as a process, with ports and a folder of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers import free_port
from tests.support.waiting import eventually


def _hear_ctrl_c() -> None:
    """What a shell starts in the background ignores SIGINT, and so do its children: a test run, and the demo in it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Running:
    """A demo that runs, and what it has said so far."""

    def __init__(self, folder: Path, *words: str, **env: str) -> None:
        self.folder = folder
        self.said_path = folder.with_suffix(".said")
        self.site = f"http://localhost:{free_port()}"
        self.service = f"http://localhost:{free_port()}"
        ports = ("--port", self.site.rpartition(":")[2], "--service-port", self.service.rpartition(":")[2])
        with self.said_path.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "demo", *ports, "--folder", str(folder), *words],
                env={"PATH": os.environ["PATH"], "HOME": str(folder), **env},
                stdout=said,
                stderr=said,
                preexec_fn=_hear_ctrl_c,
            )

    @property
    def said(self) -> str:
        return self.said_path.read_text()

    async def ready(self) -> "Running":
        await eventually(lambda: "Ctrl-C" in self.said or self.process.poll() is not None, within_s=90)
        assert self.process.poll() is None, self.said
        return self

    def pids(self) -> dict[str, int]:
        """The parts by their command, as the machine sees them: whoever was told of our folder or ports."""
        found = {}
        for path in Path("/proc").glob("[0-9]*/status"):
            try:
                status, words = path.read_text(), (path.parent / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if f"PPid:\t{self.process.pid}\n" in status:
                found[" ".join(word.decode() for word in words[3:5])] = int(path.parent.name)
        return found

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def demos(folder: Path) -> Iterator["DemoStarter"]:
    """Start demos in the block; at its end all are stopped."""
    starter = DemoStarter(folder)
    try:
        yield starter
    finally:
        for demo in starter.started:
            if demo.process.poll() is None:
                demo.stop(signal.SIGTERM)


class DemoStarter:
    """Starts demos, and remembers them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.started: list[Running] = []

    def __call__(self, *words: str, **env: str) -> Running:
        self.started.append(Running(self._folder / f"demo-{len(self.started)}", *words, **env))
        return self.started[-1]
