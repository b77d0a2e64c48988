"""The room's edge, pushed: `/rooms/{room}/events` as server-sent events, ahead of the router.

Each room's public document is encoded once, and the same bytes are handed to every stream: when it has changed,
at most once a second, and as a comment now and then to keep the connection open. A stream costs its connection and
one waiting request; all timing is one loop for the whole replica. Nothing queues up: a reader who cannot keep up
misses states and gets the newest one as soon as there is room. docs/adr/0012 says why this is not a library.
"""

import asyncio
from functools import partial
from random import uniform
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from app.clock import Clock
from app.errors import StoreUnavailable, TooBusy
from app.rooms.room import Room
from app.services import Services
from app.settings import ROOM_NAME_PATTERN
from app.web.context import SAFE_HEADERS, request_id
from app.web.hot import HotHandler
from app.web.operations import Answer, Operation
from app.web.places import render_serving, serving_of, written
from app.web.problems import plain_problem
from app.web.rooms import unknown_room

LOOK_EVERY_S = 0.05
PUSH_EVERY_S = 1.0
SLICE = 200
"""Streams written to before other work gets its turn."""
RETRY_MS = (1000, 5000)
"""How long a browser waits before it opens the stream again: spread, so that a crowd does not return as one."""
BUSY_RETRY_S = 15.0
VOLATILE = frozenset({"last", "waiting", "nextMoveSeconds", "updatedAt"})
"""Members of the document that alone are no reason to push: a page's own distance does not depend on them."""

_HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"access-control-allow-origin", b"*"),
    *SAFE_HEADERS,
)
OPERATIONS = tuple(
    Operation(
        "GET",
        path,
        unknown_room,
        "The room's state as it changes",
        "visitors",
        {200: Answer("Server-sent events: each one's data is the document of /serving.", "text/event-stream")},
        description="Pushed when the edge, the epoch or the room's state has changed, at most once a second; a "
        "comment in between keeps the connection open. A visitor's own distance follows from their position.",
        problems=(404, 503) if "{" in path else (503,),
        path_patterns={"room": ROOM_NAME_PATTERN} if "{" in path else {},
    )
    for path in ("/events", "/rooms/{room}/events")
)

_KEEP_ALIVE: Message = {"type": "http.response.body", "body": b":\n\n", "more_body": True}
_END: Message = {"type": "http.response.body", "body": b"", "more_body": False}


class Stream:
    """One open connection."""

    __slots__ = ("send",)

    def __init__(self, send: Send) -> None:
        self.send = send

    def offer(self, message: Message) -> bool:
        """Hand over a message if that needs no waiting.

        The server's `send` waits only before it writes anything, while the reader's buffer is full. So one step
        either writes the message whole, or it has written nothing and can be given up.
        """
        sending: Any = self.send(message)
        try:
            sending.send(None)
        except StopIteration:
            return True
        sending.close()
        return False


class Feed:
    """The streams of one room, and what they were last sent."""

    def __init__(self, room: Room, clock: Clock, keep_alive_s: float) -> None:
        self.room = room
        self.streams: set[Stream] = set()
        self.pushes = 0
        self._clock = clock
        self._keep_alive_s = keep_alive_s
        self._seen: tuple[object, bool] = (None, False)
        self._told: dict[str, Any] = {}
        self._frame: Message = _KEEP_ALIVE
        self._sent_s = clock.monotonic_s() - PUSH_EVERY_S
        self._behind: set[Stream] = set()
        self._changed()  # what a stream starts with is not pushed to it again

    async def step(self) -> None:
        """Push what is due."""
        now_s = self._clock.monotonic_s()
        message: Message | None = None
        if now_s - self._sent_s >= PUSH_EVERY_S and self._changed():
            message = self._frame
            self.pushes += 1
        elif now_s - self._sent_s >= self._keep_alive_s:
            message = _KEEP_ALIVE
        if message is not None:
            self._sent_s = now_s
            await self._push(message, self.streams)
        elif self._behind:
            self._behind &= self.streams
            await self._push(self._frame, self._behind)

    async def end(self) -> None:
        """End the streams; their browsers come back after their own pause. One that is stuck is tried again."""
        self.streams = {stream for stream in self.streams if not stream.offer(_END)}

    def _changed(self) -> bool:
        snapshot, stale = self.room.snapshot, self.room.stale
        if self._seen[0] is snapshot and self._seen[1] is stale:
            return False
        self._seen = (snapshot, stale)
        serving = serving_of(self.room)
        if serving is None:
            return False
        told = {name: value for name, value in serving.items() if name not in VOLATILE}
        if told == self._told:
            return False
        self._told = told
        self._frame = {"type": "http.response.body", "body": b"data: %b\n\n" % written(serving), "more_body": True}
        return True

    async def _push(self, message: Message, streams: set[Stream]) -> None:
        for number, stream in enumerate(list(streams), 1):
            taken = stream.offer(message)
            if message is self._frame:
                (self._behind.discard if taken else self._behind.add)(stream)
            if number % SLICE == 0:
                await asyncio.sleep(0)


def first_frame(room: Room) -> bytes:
    """What a new stream starts with: the present state, and when to come back after a break."""
    return b"retry: %d\ndata: %b\n\n" % (int(uniform(*RETRY_MS)), render_serving(room))


class Streams:
    """All feeds of one replica."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings
        self._feeds: dict[Room, Feed] = {}
        """By the room itself, not its name: one that is made anew under an old name is another."""
        self._open = 0
        self._some = asyncio.Event()
        services.metrics.streams_open.set_function(lambda: self._open)

    def find(self, scope: Scope) -> HotHandler | None:
        """The handler of a request for a room's events, if it is one; asked before the router."""
        path: str = scope["path"]
        if not path.endswith("/events") or scope["method"] not in ("GET", "HEAD"):
            return None
        name = "default" if path == "/events" else path.removeprefix("/rooms/").removesuffix("/events")
        room = self._services.rooms.find(name)
        return None if room is None else partial(self._serve, room)

    async def run(self) -> None:
        """Keep every stream up to date until its room or the service goes; asleep while there is none."""
        while True:
            await self._some.wait()
            for room, feed in list(self._feeds.items()):
                pushes = feed.pushes
                is_over = self._services.draining or self._services.rooms.find(room.name) is not room
                await (feed.end() if is_over else feed.step())
                if feed.pushes != pushes:
                    self._services.metrics.stream_pushes.inc()
                if not feed.streams:
                    self._feeds.pop(room, None)
            if not self._feeds:
                self._some.clear()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _serve(self, room: Room, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request with a stream, until its reader or this replica goes."""
        rid = request_id(next((value for name, value in scope["headers"] if name == b"x-request-id"), b""))
        refusal = self._refusal(room)
        if refusal is not None:
            status, body, headers = plain_problem(refusal)
            headers += [(b"x-request-id", rid), *SAFE_HEADERS]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        start: Message = {"type": "http.response.start", "status": 200, "headers": [*_HEADERS, (b"x-request-id", rid)]}
        if scope["method"] == "HEAD":
            await send(start)
            await send(_END)
            return
        self._open += 1
        try:
            await send(start)
            await send({"type": "http.response.body", "body": first_frame(room), "more_body": True})
            await self._hold(room, Stream(send), receive)
        finally:
            self._open -= 1

    async def _hold(self, room: Room, stream: Stream, receive: Receive) -> None:
        """Keep a stream in its feed as long as its reader is there."""
        feed = self._feed(room)
        feed.streams.add(stream)
        self._some.set()
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            feed.streams.discard(stream)

    def _feed(self, room: Room) -> Feed:
        feed = self._feeds.get(room)
        if feed is None:
            feed = self._feeds[room] = Feed(room, self._services.clock, self._settings.stream_keep_alive)
        return feed

    def _refusal(self, room: Room) -> StoreUnavailable | TooBusy | None:
        if room.snapshot is None:
            return StoreUnavailable()
        if self._services.draining or self._open >= self._settings.max_streams:
            return TooBusy(
                "No more streams are opened here for now; ask for the status instead.", retry_after_s=BUSY_RETRY_S
            )
        return None
