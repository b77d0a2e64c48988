"""A room that can be told to misbehave, on a real port: what the player of a crowd is tried against."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Place = dict[str, Any]


@dataclass
class FakeRoom:
    """Gives out places in order, and lets everybody in at their third question unless told otherwise."""

    poll_after_s: float = 0.05
    turn_after: int = 2
    """How many questions are answered `waiting`."""
    session_s: float = 60.0
    refuse: Callable[[str, int], tuple[int, str, int] | None] = lambda path, count: None
    """Status, kind and `Retry-After` instead of an answer, by path and how often it was asked."""
    bend: Callable[[Place], Place] = lambda place: place
    """What becomes of an answer about a place."""
    url: str = ""
    asked: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    """By path: when, and with which headers."""
    _positions: dict[str, int] = field(default_factory=dict)
    _keys: dict[str, int] = field(default_factory=dict)
    _questions: dict[int, int] = field(default_factory=dict)

    def answer(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, Any, int]:
        """Status, content and `Retry-After` for a request."""
        verb = path.rpartition("/")[2]
        asked = self.asked.setdefault(verb, [])
        asked.append((time.monotonic(), json.dumps(headers)))
        if verb == "serving":
            return 200, {"serving": 0, "last": len(self._positions), "waiting": 0, "stale": False}, 0
        refused = self.refuse(verb, len(asked))
        if refused:
            status, kind, retry_after_s = refused
            return status, {"type": f"urn:stanchion:problem:{kind}", "title": kind, "status": status}, retry_after_s
        token = headers.get("authorization", "").removeprefix("Bearer ") or headers.get("cookie", "").partition("=")[2]
        if verb == "join" and not token:
            token = f"ticket-{self._keys.setdefault(headers['idempotency-key'], len(self._keys) + 1)}"
        position = self._positions.setdefault(token, len(self._positions) + 1)
        if verb == "leave":
            return 204, None, 0
        place = {"token": token, "epoch": 1, "position": position}
        if verb in ("enter", "renew"):
            return 200, {**place, "status": "entered", "endsInSeconds": self.session_s}, 0
        questions = self._questions[position] = self._questions.get(position, 0) + 1
        waiting = {"status": "waiting", "ahead": 1, "estimatedWaitLowSeconds": 0, "estimatedWaitHighSeconds": 9}
        active = {**waiting, "status": "active", "ahead": 0, "activeForSeconds": 30.0}
        told = waiting if questions <= self.turn_after else active
        return 200, self.bend({**place, **told, "pollAfterSeconds": self.poll_after_s, "stale": False}), 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split()
                headers = {
                    name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
                }
                status, content, retry_after_s = self.answer(method, path, headers)
                body = b"" if content is None else json.dumps(content).encode()
                own = f"Retry-After: {retry_after_s}\r\n" if retry_after_s else ""
                if "origin" in headers and status == 200:
                    own += f"Set-Cookie: stanchion-ticket-default={content['token']}; Path=/; HttpOnly\r\n"
                writer.write(f"HTTP/1.1 {status} X\r\n{own}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def times(self, verb: str) -> list[float]:
        """When that was asked."""
        return [at_s for at_s, _ in self.asked.get(verb, [])]

    def headers(self, verb: str) -> list[dict[str, str]]:
        """With which headers that was asked."""
        return [json.loads(text) for _, text in self.asked.get(verb, [])]


@asynccontextmanager
async def fake_room(**wishes: Any) -> AsyncIterator[FakeRoom]:
    """A fake room on a port of its own."""
    room = FakeRoom(**wishes)
    server = await asyncio.start_server(room.serve, "127.0.0.1", 0)
    room.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield room
    finally:
        server.close()
