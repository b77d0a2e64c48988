"""The load maker of the task bench: a bare keep-alive HTTP client, so that little but the service is measured."""

import asyncio
import json
from typing import Any


class Connection:
    """One keep-alive connection that sends one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self) -> "Connection":
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**24)
        return self

    async def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        """The body of the answer, empty for 204."""
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        if body:
            head += "Content-Type: application/json\r\n"
        self._writer.write(head.encode() + b"\r\n" + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        status = int(answer[9:12])
        if status not in (200, 202, 204):
            raise RuntimeError(f"{method} {path}: {answer.decode()}")
        if status == 204:
            return b""
        lower = answer.lower()
        start = lower.index(b"content-length:") + 15
        return await self._reader.readexactly(int(lower[start : lower.index(b"\r\n", start)]))

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The same with JSON on both sides."""
        raw = await self.request(method, path, b"" if body is None else json.dumps(body).encode())
        return json.loads(raw) if raw else None

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def connections(port: int, count: int) -> list[Connection]:
    """Several at once."""
    return list(await asyncio.gather(*(Connection(port).open() for _ in range(count))))
