"""The size limit of request bodies. Starlette's own answers in plain text; here a body that is too large is a problem
like any other, whether its length was announced or only shows while it is read."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import TooLarge

MAX_BODY_BYTES = 16 * 1024 * 1024
"""No body may be larger; routes with a narrower limit of their own check it themselves."""


class BodyLimit:
    """Middleware that lets no handler read more than the limit."""

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        announced = int(length) if length.isdigit() else 0
        read = 0

        async def receive_within_limit() -> Message:
            # Raised where the handler reads, inside Starlette's error handling; a body that nobody reads harms nobody.
            nonlocal read
            self._check(announced)
            message = await receive()
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                self._check(read)
            return message

        await self.app(scope, receive_within_limit, send)

    def _check(self, size: int) -> None:
        if size > self.max_bytes:
            raise TooLarge(f"The request body is larger than the {self.max_bytes:,} bytes that this service accepts.")
