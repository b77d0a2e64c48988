"""Connections, as uvicorn keeps them, with an end for those that cost and never ask: nobody else bounds the head of a
request, nor how long it may take to come, nor how long its body may keep silent.

`Connection.look_after` is called every `LOOK_EVERY_S` for each of them, which costs the requests themselves nothing.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.web.joined_writes import JoinedWrites
from app.web.problems import PROBLEM_TYPE, problem_body

MAX_HEAD_BYTES = 65_536
"""Of a request line and headers that come in pieces; what comes in one read, of some 256 kB at most, is there already."""
LOOK_EVERY_S = 10.0
PATIENCE = 6
"""Looks in a row that find a client silent while it owes something; so it has between 50 and 60 seconds."""


class Connection(HttpToolsProtocol):
    """One client's connection: answers leave in one write, and what the client owes has limits."""

    _unfinished: Any = None
    """The request whose head has begun to come and is not there yet."""
    _head_bytes = 0
    _heard = False
    _looked_at: Any = None
    _silent = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(JoinedWrites(transport, self.loop))  # type: ignore[arg-type]  # it does what a transport does

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._heard = True
        scope: Any = self.scope  # None before the first request, whatever its type says
        if scope is None or "path" in scope:  # set once the head is complete
            return
        if scope is not self._unfinished:
            self._unfinished, self._head_bytes = scope, 0  # `data` may hold much that came before it
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(
                431,
                "Headers too large",
                f"The request line and headers are larger than the {MAX_HEAD_BYTES:,} bytes that this service accepts.",
            )

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP gets a problem like any other."""
        self._refuse(400, "Invalid request", "This cannot be read as an HTTP request.")

    def look_after(self) -> None:
        """End the connection if its client has owed a request, or the rest of one, for too long."""
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            # The whole head has to come in time. Between requests uvicorn's own timer runs.
            owing, progress = self.timeout_keep_alive_task is None, self.scope is not self._looked_at
        else:
            owing, progress = cycle.more_body and not self.flow.read_paused, self._heard
        self._silent = self._silent + 1 if owing and not progress else 0
        self._looked_at, self._heard = self.scope, False
        if self._silent >= PATIENCE and not self.transport.is_closing():
            self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing here is upgraded. The request is answered as if it had not asked, and as the last: no more is parsed."""
        self.cycle.keep_alive = False

    def _refuse(self, status: int, title: str, detail: str) -> None:
        """Answer by hand and close; where the client waits for another answer first, close only."""
        cycle: Any = self.cycle
        answered = cycle is None or cycle.response_complete
        if answered or (cycle.scope is self.scope and not (cycle.response_started or self.pipeline)):
            body = problem_body(status, title, detail, kind="about:blank")
            lines = (
                b"content-type: " + PROBLEM_TYPE.encode(),
                b"content-length: %d" % len(body),
                b"cache-control: no-store",
                b"x-content-type-options: nosniff",
                b"connection: close",
            )
            self.transport.write(b"".join((STATUS_LINE[status], *(line + b"\r\n" for line in lines), b"\r\n", body)))
        self.transport.close()
