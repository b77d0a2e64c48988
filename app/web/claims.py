"""Answers that carry a claim: it is given back when the client hangs up before it has been told.

A client's going away shows only in the request's `receive`, which is read all the while. The answer's last byte is held
back for one last look after the others have been handed to the socket: who goes without it has not been told, and who
goes with it has, however soon.
"""

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.web.bodies import NO_STORE

_TURNS = 4
"""A closed socket is read, reported to the protocol, passed on to `receive`, and only then seen here."""


class HangUp:
    """Notices when the client of a request goes away. Use it as a context."""

    def __init__(self, request: Request) -> None:
        self._receive = request.receive
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watch = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self.gone.done():
            self.gone.set_result(None)

    def noticed(self) -> bool:
        """Whether the client has gone."""
        return self.gone.done()

    async def noticed_by_now(self) -> bool:
        """The same, once what has already arrived from the network has had its turns of the loop."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if self.gone.done():
                return True
        return False

    def stop(self) -> None:
        """Stop watching."""
        self._watch.cancel()
        self.gone.cancel()


class ClaimAnswer(Response):
    """A JSON answer that undoes what it tells of when it cannot be delivered."""

    def __init__(self, text: str, hang_up: HangUp, undo: Callable[[], None]) -> None:
        super().__init__(text, 200, headers=NO_STORE, media_type="application/json")
        self._hang_up = hang_up
        self._undo = undo

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        delivered = False
        try:
            if await self._hang_up.noticed_by_now():
                return
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self.body[:-1], "more_body": True})
            if await self._hang_up.noticed_by_now():
                return
            delivered = True
            self._hang_up.stop()
            await send({"type": "http.response.body", "body": self.body[-1:], "more_body": False})
        finally:
            self._hang_up.stop()
            if not delivered:
                self._undo()
