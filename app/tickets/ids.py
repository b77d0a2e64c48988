"""Random ticket ids."""

from base64 import urlsafe_b64encode
from secrets import token_bytes

ID_BYTES = 12
ID_CHARS = 16
_AT_ONCE = 256


class TicketIds:
    """96 random bits each, in 16 characters that are safe everywhere.

    Many are drawn from the system's generator at once: each asking is a system call, which every join would pay.
    """

    def __init__(self) -> None:
        self._ready: list[str] = []

    def next(self) -> str:
        """An id that was never given before."""
        if not self._ready:
            text = urlsafe_b64encode(token_bytes(ID_BYTES * _AT_ONCE)).decode()
            self._ready = [text[i : i + ID_CHARS] for i in range(0, len(text), ID_CHARS)]
        return self._ready.pop()
