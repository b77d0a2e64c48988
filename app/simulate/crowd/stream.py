"""One open stream of the room's state, as server-sent events."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

import httptools

LARGEST_FRAME = 100_000


class Stream(asyncio.Protocol):
    """One request on a connection of its own, whose answer goes on. It ends when either side hangs up."""

    def __init__(
        self, request: bytes, hear: Callable[[dict[str, Any]], None], ended: Callable[["Stream"], None]
    ) -> None:
        """
        Args:
            hear: is told each document.
            ended: is told once that nothing more comes from this one.
        """
        self._request = request
        self._hear = hear
        self._ended = ended
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._frame = b""
        self.status = 0
        """The answer's status; 0 until it has come."""
        self.retry_s = 1.0
        """When to come back after a break, as told."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def connection_lost(self, _: Exception | None) -> None:
        self._ended(self)

    def close(self) -> None:
        """Hang up."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, ValueError, KeyError, TypeError):
            self.close()

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_message_complete(self) -> None:
        self.close()

    def on_body(self, part: bytes) -> None:
        if self.status != 200:
            return
        *frames, self._frame = (self._frame + part).split(b"\n\n")
        if len(self._frame) > LARGEST_FRAME:
            self.close()
        for frame in frames:
            for line in frame.split(b"\n"):
                name, _, value = line.partition(b": ")
                if name == b"retry":
                    self.retry_s = int(value) / 1000
                elif name == b"data":
                    self._hear(json.loads(value))
