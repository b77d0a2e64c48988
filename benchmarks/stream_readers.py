"""`python -m benchmarks.stream_readers PORT COUNT`: read so many streams until a line comes in, then say what was seen."""

import asyncio
import json
import sys
import time

import uvloop

REQUEST = b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
MEMBER = b'"updatedAt":'
OPENING_AT_ONCE = 100


class Reader(asyncio.Protocol):
    """One stream; notes how old each state is when it arrives, but for the first, which is not pushed."""

    delays_ms: list[float] = []

    def __init__(self) -> None:
        self.states = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(REQUEST)  # type: ignore[attr-defined]  # uvloop's transports have no common class with asyncio's

    def data_received(self, data: bytes) -> None:
        now_ms = time.time() * 1000
        at = data.find(MEMBER)
        if at < 0:
            return
        self.states += 1
        if self.states > 1:
            begin = at + len(MEMBER)
            self.delays_ms.append(now_ms - int(data[begin : data.index(b"}", begin)]))


async def read(port: int, count: int) -> None:
    """Open the streams and read until standard input has a line."""
    loop = asyncio.get_running_loop()
    for start in range(0, count, OPENING_AT_ONCE):
        wanted = min(OPENING_AT_ONCE, count - start)
        await asyncio.gather(*(loop.create_connection(Reader, "127.0.0.1", port) for _ in range(wanted)))
    began_s = time.process_time()
    await loop.run_in_executor(None, sys.stdin.readline)
    print(json.dumps({"delays_ms": Reader.delays_ms, "cpu_s": time.process_time() - began_s}))


if __name__ == "__main__":
    uvloop.run(read(int(sys.argv[1]), int(sys.argv[2])))
