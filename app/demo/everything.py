"""Everything at once, on loopback: the service with a store of its own, the box office behind the gate, a worker who
talks to the bank, shoppers, and a crowd. `stanchion demo` runs it.

Each part is a process of its own, as it would be anywhere else. They are stopped in the opposite order, by their ids;
the data goes with them. On Linux they end even when the demo is killed outright: the kernel tells them.
"""

import ctypes
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any, Literal

import httpx

from app.demo.payments import QUEUE
from app.demo.serving import QUEUE_PATH, listening_socket
from app.errors import ConfigError, StanchionError

HOST = "127.0.0.1"
ROOM = "lantern-hall"
START_LIMIT_S = 60.0
STOP_LIMIT_S = 15.0
LOOK_EVERY_S = 0.3
CROWD_OVER_S = 600
FIRST_OVER_S = 4
_PR_SET_PDEATHSIG = 1
ENDED_WELL = (0, 1)
"""A crowd's statuses: all promises held, or one broke, which its report says. Anything else is a mistake of ours."""

ROOM_SETTINGS: dict[str, Any] = {
    "maxActive": 20,
    "ratePerMinute": 60,
    "rateBurst": 3,
    "claimSeconds": 45,
    "sessionSeconds": 180,
    "passOver": True,
    "passOverSeconds": 20,
    "look": {
        "title": "Lantern Hall",
        "accent": "#8a4b08",
        "accentDark": "#ffc861",
        "message": "Welcome to the Night Orchestra. Twenty people may choose their seats at a time; the others wait here.",
    },
    "gate": {"bypass": {"paths": ["/static/", "/bye", "/tour", "/tour.json", "/livez"]}},
}
"""Such that a line forms and moves."""


class PartFailed(StanchionError):
    """A part of the demo has ended by itself."""

    kind = "demo"
    title = "The demo has stopped"


@dataclass
class Part:
    """One process."""

    name: str
    words: Sequence[str]
    env: dict[str, str]
    log_path: Path
    at_end: Literal["fail", "again", "done"] = "fail"
    """What follows when it has come to its end by itself: the demo's end, another one, or nothing."""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches only us. It ends when the calling thread does."""
        with self.log_path.open("ab") as log:
            command = [sys.executable, "-m", "app", *self.words]
            self.process = subprocess.Popen(
                command,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_ending_with_parent(),
            )

    def check(self) -> None:
        """See that it still runs.

        Raises:
            PartFailed: it does not.
        """
        if self.process is None or self.process.poll() is None:
            return
        if self.at_end != "fail" and self.process.returncode in ENDED_WELL:
            if self.at_end == "again":
                self.start()
            return
        last = "\n".join(self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        raise PartFailed(f"{self.name} has ended with status {self.process.returncode}. Its last words:\n{last}")

    def stop(self) -> None:
        """Ask it to end, and see that it does."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _ending_with_parent() -> Callable[[], None] | None:
    """What a child does at its start so that it is asked to end when we are gone, however that came; None: not here."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask_the_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # gone already, before the kernel was asked
            os.kill(os.getpid(), signal.SIGTERM)

    return ask_the_kernel


@dataclass(frozen=True)
class Wanted:
    """What is to be run, and where."""

    folder: Path
    """For data and logs."""
    service_port: int
    site_port: int
    crowd: int
    """Visitors in ten minutes; 0: none."""
    shoppers: int

    @property
    def service_url(self) -> str:
        return f"http://{HOST}:{self.service_port}"

    @property
    def site_url(self) -> str:
        return f"http://{HOST}:{self.site_port}"


@dataclass
class Demo:
    """The running parts."""

    wanted: Wanted
    admin_token: str
    parts: list[Part]

    def watch(self) -> None:
        """Look after the parts, until Ctrl-C.

        Raises:
            PartFailed: one of them has ended.
        """
        while True:
            for part in self.parts:
                part.check()
            time.sleep(LOOK_EVERY_S)


@contextmanager
def run_demo(wanted: Wanted, say: Callable[[str], None]) -> Iterator[Demo]:
    """Start everything, in order; at the end of the block stop everything, the last one first.

    Raises:
        PartFailed: a part did not come up.
    """
    token = secrets.token_urlsafe(18)
    demo = Demo(wanted, token, [])
    try:
        for part, url in _parts(wanted, token):
            say(f"starting {part.name}")
            part.start()
            demo.parts.append(part)
            if url:
                _wait_until_up(part, url)
        yield demo
    finally:
        for part in reversed(demo.parts):
            say(f"stopping {part.name}")
            part.stop()


def choose_port(wanted: int | None, usual: int) -> int:
    """The port that was asked for; or else the usual one, or any that is free when that is taken.

    Raises:
        ConfigError: the one that was asked for is taken.
    """
    if wanted is not None:
        listening_socket(HOST, wanted).close()
        return wanted
    try:
        listening_socket(HOST, usual).close()
        return usual
    except ConfigError:
        with listening_socket(HOST, 0) as free:
            port: int = free.getsockname()[1]
            return port


def _parts(wanted: Wanted, token: str) -> Iterator[tuple[Part, str]]:
    """The parts in the order in which they are started, and where each says that it is up."""
    folder = wanted.folder
    rooms_file = folder / "rooms.yaml"
    rooms_file.write_text(json.dumps({"rooms": {ROOM: ROOM_SETTINGS}}), encoding="utf-8")  # JSON is YAML, too
    # Nothing of the caller's own settings: no REDIS_URL of somebody's real store, no other token.
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    clean |= {"LOG_FORMAT": "console", "QUEUE_URL": wanted.service_url, "ADMIN_TOKEN": token}
    service = clean | {
        "HOST": HOST,
        "PORT": str(wanted.service_port),
        "DATA_DIR": str(folder / "data"),
        "ROOMS_FILE": str(rooms_file),
        "TRUSTED_PROXIES": HOST,
        "ROOT_PATH": QUEUE_PATH,
        "OPEN_ROUTES": "tasks,locks",
    }
    yield Part("the service", ("serve",), service, folder / "service.log"), f"{wanted.service_url}/readyz?strict"
    work = ("worker", "--queue", QUEUE, "--concurrency", "8", "--handlers", "app.demo.payments:work")
    yield Part("the worker", work, clean, folder / "worker.log"), ""
    site = ("demo", "site", "--port", str(wanted.site_port), "--guard", ROOM, "--waiting-room", wanted.service_url)
    tour = ("--inside", str(ROOM_SETTINGS["maxActive"]))
    yield Part("the box office", (*site, *tour), clean, folder / "site.log"), f"{wanted.site_url}/livez"
    if wanted.shoppers:
        shoppers = ("demo", "shoppers", "--url", wanted.site_url, "--count", str(wanted.shoppers))
        yield Part("the shoppers", shoppers, clean, folder / "shoppers.log"), ""
    if wanted.crowd:
        crowd = ("simulate", "crowd", "--url", wanted.service_url, "--room", ROOM)
        first = ("--visitors", str(ceil(wanted.crowd / 20)), "--over", str(FIRST_OVER_S), "--mix", "patient=1")
        yield Part("the first in line", (*crowd, *first), clean, folder / "first.log", "done"), ""
        steady = ("--visitors", str(wanted.crowd), "--over", str(CROWD_OVER_S), "--time-limit", str(2 * CROWD_OVER_S))
        yield Part("the crowd", (*crowd, *steady), clean, folder / "crowd.log", "again"), ""


def _wait_until_up(part: Part, url: str) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        part.check()
        try:
            if httpx.get(url, timeout=2, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            pass
        if time.monotonic() > deadline:
            raise PartFailed(f"{part.name} did not answer within {START_LIMIT_S:.0f} s; see {part.log_path}")
        time.sleep(LOOK_EVERY_S)
