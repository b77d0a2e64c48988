"""A room that can be told to misbehave, on a real port: what the player of a crowd is tried against."""

import asyncio
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Place = dict[str, Any]
TICKET, PASS = "stanchion-ticket-default", "stanchion-pass-default"


def _cookies(headers: dict[str, str]) -> dict[str, str]:
    return dict(item.partition("=")[::2] for item in headers.get("cookie", "").split("; ") if item)


def _held(headers: dict[str, str]) -> int:
    """The position of the pass that comes along; 0: none."""
    return int(_cookies(headers).get(PASS, "0").partition("-")[0])


def _pass(position: int, session_s: float) -> str:
    """Like a pass, but that its head is the position."""
    claims = {"epoch": 1, "pos": position, "iat": 100, "exp": 100 + session_s}
    return f"{position}-.{urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.x"


@dataclass
class FakeRoom:
    """Gives out places in order, and lets everybody in at their third question unless told otherwise."""

    poll_after_s: float = 0.05
    turn_after: int = 2
    """How many questions are answered `waiting`."""
    session_s: float = 60.0
    takes_s: float = 0.0
    """How long it thinks about each answer."""
    refuse: Callable[[str, int], tuple[int, str, int] | None] = lambda path, count: None
    """Status, kind and `Retry-After` instead of an answer, by path and how often it was asked."""
    bend: Callable[[Place], Place] = lambda place: place
    """What becomes of an answer about a place."""
    news: Sequence[tuple[float, Place | None]] = ()
    """What each stream says: after how many seconds, and changes to the room's document; None: it hangs up."""
    inline: bool = False
    """Whether its gate lets newcomers straight in."""
    leaks: Callable[[], bool] = lambda: False
    """Whether its gate lets through whoever comes."""
    url: str = ""
    asked: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    """By path: when, and with which headers."""
    _positions: dict[str, int] = field(default_factory=dict)
    _keys: dict[str, int] = field(default_factory=dict)
    _questions: dict[int, int] = field(default_factory=dict)
    _inside: set[int] = field(default_factory=set)

    @property
    def site_url(self) -> str:
        """An address behind its gate."""
        return f"{self.url}/site?page=1"

    def answer(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, Any, int]:
        """Status, content and `Retry-After` for a request."""
        verb = path.partition("?")[0].rpartition("/")[2]
        asked = self.asked.setdefault(verb, [])
        asked.append((time.monotonic(), json.dumps(headers)))
        if verb == "serving":
            return 200, {"serving": 0, "last": len(self._positions), "waiting": 0, "stale": False}, 0
        refused = self.refuse(verb, len(asked))
        if refused:
            status, kind, retry_after_s = refused
            return status, {"type": f"urn:stanchion:problem:{kind}", "title": kind, "status": status}, retry_after_s
        if verb in ("site", "default", "events"):
            return self._judge(headers) if verb == "site" else 200, None, 0
        if verb == "leave" and _held(headers):
            self._inside.discard(_held(headers))
            return 204, None, 0
        token = headers.get("authorization", "").removeprefix("Bearer ") or _cookies(headers).get(TICKET, "")
        if verb == "join" and not token:
            token = f"ticket-{self._keys.setdefault(headers['idempotency-key'], len(self._keys) + 1)}"
        position = self._positions.setdefault(token, len(self._positions) + 1)
        if verb == "leave":
            return 204, None, 0
        place = {"token": token, "epoch": 1, "position": position}
        if verb in ("enter", "renew"):
            self._inside.add(position)
            return 200, {**place, "status": "entered", "endsInSeconds": self.session_s}, 0
        questions = self._questions[position] = self._questions.get(position, 0) + 1
        waiting = {"status": "waiting", "ahead": 1, "estimatedWaitLowSeconds": 0, "estimatedWaitHighSeconds": 9}
        active = {**waiting, "status": "active", "ahead": 0, "activeForSeconds": 30.0}
        told = waiting if questions <= self.turn_after else active
        return 200, self.bend({**place, **told, "pollAfterSeconds": self.poll_after_s, "stale": False}), 0

    def _judge(self, headers: dict[str, str]) -> int:
        """What the gate answers whom."""
        newcomer = self.inline and not _cookies(headers)
        return 200 if _held(headers) in self._inside or newcomer or self.leaks() else 302

    def _own(self, path: str, headers: dict[str, str], status: int, content: Any) -> str:
        """Cookies, and where the gate leads to."""
        if status == 302:
            return "Location: /rooms/default?target=%2Fsite\r\n"
        if path.startswith("/site"):
            if not self.inline or status != 200 or _cookies(headers):
                return ""
            position = self._positions[f"inline-{len(self._positions)}"] = len(self._positions) + 1
            self._inside.add(position)
            return f"Set-Cookie: {PASS}={_pass(position, self.session_s)}; Path=/\r\n"
        if "origin" not in headers or status != 200:
            return ""
        if path.endswith("/enter"):
            return f"Set-Cookie: {PASS}={_pass(content['position'], self.session_s)}; Path=/\r\n"
        return f"Set-Cookie: {TICKET}={content['token']}; Path=/; HttpOnly\r\n" if content.get("token") else ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split()
                headers = {
                    name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
                }
                await asyncio.sleep(self.takes_s)
                status, content, retry_after_s = self.answer(method, path, headers)
                if path.endswith("/events") and status == 200:
                    await self._tell(reader, writer)
                    return
                body = b"" if content is None else json.dumps(content).encode()
                own = f"Retry-After: {retry_after_s}\r\n" if retry_after_s else ""
                own += self._own(path, headers, status, content)
                writer.write(f"HTTP/1.1 {status} X\r\n{own}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")
        for after_s, changes in self.news:
            await asyncio.sleep(after_s)
            if changes is None:
                return
            document = json.dumps({"epoch": 1, "serving": 0, "paused": False, "passesOver": False, **changes})
            frame = f"retry: 100\ndata: {document}\n\n:\n\n".encode()
            writer.write(b"%x\r\n%b\r\n" % (len(frame), frame))
            await writer.drain()
        await reader.read()

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
