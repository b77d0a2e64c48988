"""The dashboard's figures, pushed: `/admin/events` as server-sent events, once a second.

What has changed is worked out and encoded once for everybody who watches this replica, and nothing is done while nobody
does. A reader who cannot keep up misses seconds and is sent everything again.
"""

import asyncio
import json
from collections.abc import AsyncIterator

from app.errors import TooBusy
from app.operators.sessions import OperatorSession
from app.services import Services
from app.web.dashboard.figures import Asked, Overview, ask, overview

PUSH_EVERY_S = 1.0
ASK_EVERY_S = 4.0
"""How old what the store said may become."""
MAX_VIEWERS = 100
LOOK_AT_SESSION_EVERY = 10
"""Pushes between two looks whether a viewer is still signed in."""
_SIGNED_OUT = b"event: signed-out\ndata: {}\n\n"


class Feed:
    """What one replica tells its dashboards."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.viewers = 0
        self.steps = 0
        """How often it was worked out what is new."""
        self._asked = Asked()
        self._asked_s = float("-inf")
        self._wanted = asyncio.Event()
        self._pushed = asyncio.Event()
        self._rooms: dict[str, str] = {}
        self._full = self._news = b""

    async def run(self) -> None:
        """Keep the news coming while somebody watches."""
        while True:
            await self._wanted.wait()
            await self._step()
            await asyncio.sleep(PUSH_EVERY_S)

    async def overview(self) -> Overview:
        """Everything of this moment."""
        now_s = self._services.clock.monotonic_s()
        if now_s - self._asked_s >= ASK_EVERY_S:
            self._asked_s = now_s
            self._asked = await ask(self._services)
        return overview(self._services, self._asked)

    @property
    def busy(self) -> bool:
        """Whether anything is worked out at all: only while somebody watches."""
        return self._wanted.is_set()

    def open(self, session: OperatorSession) -> AsyncIterator[bytes]:
        """A stream of frames for one viewer, until they sign out or this replica stops.

        Raises:
            TooBusy: too many watch this replica already.
        """
        if self.viewers >= MAX_VIEWERS or self._services.draining:
            raise TooBusy("This replica takes no more dashboards for now; try again shortly.", retry_after_s=5)
        return self._frames(session)

    async def _frames(self, session: OperatorSession) -> AsyncIterator[bytes]:
        self.viewers += 1
        try:
            if not self._wanted.is_set():
                await self._step()
                self._wanted.set()
            number = self.steps
            yield b"retry: 2000\n" + self._full
            while not self._services.draining:
                await self._pushed.wait()
                if number % LOOK_AT_SESSION_EVERY == 0 and not await self._services.sign_ins.still_on(session):
                    yield _SIGNED_OUT
                    return
                number, missed = self.steps, self.steps != number + 1
                yield self._full if missed else self._news
        finally:
            self.viewers -= 1
            if self.viewers == 0:
                self._wanted.clear()

    async def _step(self) -> None:
        """Work out what is new since the last step, and wake the viewers."""
        now = await self.overview()
        rooms = {room.room: room.model_dump_json(exclude_none=True) for room in now.rooms}
        head = _head(now)
        changed = [document for name, document in rooms.items() if self._rooms.get(name) != document]
        gone = json.dumps([name for name in self._rooms if name not in rooms])
        self._news = _frame(f'{head},"rooms":[{",".join(changed)}],"gone":{gone}}}')
        self._full = _frame(f'{head},"rooms":[{",".join(rooms.values())}],"everything":true}}')
        self._rooms = rooms
        self.steps += 1
        pushed, self._pushed = self._pushed, asyncio.Event()
        pushed.set()


def _head(now: Overview) -> str:
    """The document but for its rooms and its last brace."""
    return now.model_dump_json(exclude={"rooms"}, exclude_none=True)[:-1]


def _frame(document: str) -> bytes:
    return f"data: {document}\n\n".encode()
