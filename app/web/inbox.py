"""The request's messages, read ahead, so that a client that hangs up is noticed at once, and not when it is answered."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.types import Receive

READ_AHEAD_BYTES = 256 * 1024
"""How much of a body is kept; a longer one is read on only as it is used."""
TURNS_TO_NOTICE = 3
"""Turns of the event loop: the socket is read, the server tells, the watcher hears."""


class ClientGone(Exception):
    """The client has hung up: nobody is there to be answered."""


class Inbox:
    """What the client has sent so far."""

    def __init__(self) -> None:
        self.gone = False
        self.complete = False
        """Whether the whole body is here."""
        self.error: Exception | None = None
        self._chunks: deque[bytes] = deque()
        self._kept = 0
        self._taken = False
        self._changed = asyncio.Event()

    def whole(self) -> bytes | None:
        """The whole body, when it has come and nothing of it was taken yet."""
        return b"".join(self._chunks) if self.complete and not self._taken else None

    async def stream(self) -> AsyncIterator[bytes]:
        """The body, bit by bit, once."""
        self._taken = True
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._kept -= len(chunk)
                self._changed.set()
                yield chunk
            if self.complete:
                return
            self._changed.clear()
            await self._changed.wait()

    async def read(self, receive: Receive) -> None:
        """Read until the client hangs up."""
        while not self.gone:
            while self._kept > READ_AHEAD_BYTES:
                self._changed.clear()
                await self._changed.wait()
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone = True
                return
            chunk = message.get("body", b"")
            if chunk:
                self._chunks.append(chunk)
                self._kept += len(chunk)
            self.complete = not message.get("more_body", False)
            self._changed.set()


@asynccontextmanager
async def until_client_hangs_up(receive: Receive) -> AsyncIterator[Inbox]:
    """Run the block for as long as the client is there; it is cancelled when the client hangs up.

    Raises:
        ClientGone: it has.
    """
    inbox = Inbox()
    worker = asyncio.current_task()
    assert worker is not None  # noqa: S101  # a request runs in a task

    async def watch() -> None:
        try:
            await inbox.read(receive)
        except Exception as error:
            inbox.error = error
        worker.cancel()

    watcher = asyncio.create_task(watch(), name="client-watch")
    try:
        yield inbox
    except asyncio.CancelledError:
        if (inbox.gone or inbox.error) and worker.uncancel() == 0:
            if inbox.error is not None:
                raise inbox.error from None
            raise ClientGone from None
        raise
    finally:
        watcher.cancel()


async def answerable(inbox: Inbox, undo: Callable[[], None]) -> None:
    """Look once more for a hang-up before something precious is answered, and undo it when nobody is there.

    A hang-up that has reached this machine is noticed after a turn or two of the event loop. One that is
    still on its way cannot be: what was granted must have an end of its own.

    Raises:
        ClientGone: it has hung up.
    """
    try:
        for _ in range(TURNS_TO_NOTICE):
            await asyncio.sleep(0)
            if inbox.gone:
                raise ClientGone
    except BaseException:
        undo()
        raise
