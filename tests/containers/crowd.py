"""Visitors of the trial: they join and ask through nginx, and remember what they were told."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass
class Crowd:
    """Everybody who has joined so far."""

    client: httpx.Client
    tickets: dict[int, str] = field(default_factory=dict)
    """The token of each position."""
    refused: int = 0
    """Joins answered 503; each was asked again."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def join(self, number: int, *, at_once: int = 8) -> None:
        """That many new visitors, several at a time. No position may ever come twice."""
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(lambda _: self._join_one(), range(number)))

    def _join_one(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            reply = self.client.post("/join")
            if reply.status_code != 503:
                break
            assert reply.headers["content-type"] == "application/problem+json", reply.text
            assert float(reply.headers["retry-after"]) > 0
            with self._lock:
                self.refused += 1
            assert time.monotonic() < deadline, f"no place after 30 s: {reply.text}"
            time.sleep(0.2)
        assert reply.status_code in (200, 201), f"{reply.status_code} {reply.text}"
        place = reply.json()
        with self._lock:
            assert place["position"] not in self.tickets, f"position {place['position']} was given out twice"
            self.tickets[place["position"]] = place["token"]

    def ask(self, position: int) -> dict[str, Any]:
        """One visitor's status; the position must be the one on the ticket."""
        reply = self.client.get("/status", headers={"Authorization": f"Bearer {self.tickets[position]}"})
        assert reply.status_code == 200, f"position {position}: {reply.status_code} {reply.text}"
        place: dict[str, Any] = reply.json()
        assert place["position"] == position, f"position {position} is now {place['position']}"
        return place

    def everyone_keeps_their_place(self) -> int:
        """Ask for everybody, three times over so that each replica is met; the number of answers."""
        for position in sorted(self.tickets) * 3:
            self.ask(position)
        return 3 * len(self.tickets)

    @property
    def last(self) -> int:
        return max(self.tickets)

    @property
    def gaps(self) -> int:
        """Positions up to the last that nobody here holds."""
        return self.last - len(self.tickets)


class Poller:
    """One visitor who asks all the time, in the background, while something is done to the containers."""

    def __init__(self, crowd: Crowd, position: int) -> None:
        self.crowd = crowd
        self.position = position
        self.answers = 0
        self.stale = 0
        self.slowest_s = 0.0
        self.failure: Exception | AssertionError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Poller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            started_s = time.monotonic()
            try:
                place = self.crowd.ask(self.position)
            except Exception as error:
                self.failure = error
                return
            self.slowest_s = max(self.slowest_s, time.monotonic() - started_s)
            self.answers += 1
            self.stale += bool(place.get("stale"))
