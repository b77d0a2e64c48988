"""The yardstick: a bare ASGI application on the very server options of a replica.

`python -m benchmarks.bare PORT` serves it; with `plain` after the port, on uvicorn's own HTTP protocol.
"""

import sys
from typing import Any

import uvicorn

from app.web.server import SERVER_OPTIONS

_BODY = b'{"hello":"world"}'
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_BODY))],
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request with the same small JSON document."""
    if scope["type"] == "lifespan":
        for answer in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
            await receive()
            await send({"type": answer})
        return
    await send(_START)
    await send({"type": "http.response.body", "body": _BODY})


if __name__ == "__main__":
    options = {**SERVER_OPTIONS, "http": "httptools"} if "plain" in sys.argv else SERVER_OPTIONS
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), **options)
