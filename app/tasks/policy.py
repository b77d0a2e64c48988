"""The queue's decisions that need no store: turns, backoff, when to run, how large.

Pure functions, so that tables and properties can test them; the scripts get what they decide as arguments.
"""

import random
from collections.abc import Callable
from datetime import datetime

from app.errors import InvalidInput, TooLarge

PRIORITIES = ("high", "normal", "low")
"""By rank: the index is what the store keeps."""

BACKOFF_STEPS = 16

MAX_BATCH = 1000
MAX_CLAIM = 1000
MAX_WAIT_S = 600.0
MAX_DELAY_MS = 366 * 24 * 3600 * 1000


def rotation(length: int = 16, normal_every: int = 4) -> str:
    """At which priority each of a cycle's claims starts to look, as digits.

    Most start at high; every `normal_every`th at normal, the last of the cycle at low. A claim that finds
    nothing where it starts takes the highest there is, so no turn is wasted; and a low task that is first in
    its line is handed out within `length` claims whatever comes in above it.
    """
    turns = ["0"] * length
    for place in range(normal_every - 1, length, normal_every):
        turns[place] = "1"
    turns[-1] = "2"
    return "".join(turns)


ROTATION = rotation()


def backoff_ms(retry: int, base_ms: float, limit_ms: float, jitter: float) -> int:
    """How long to wait before the given retry (1 for the first).

    Doubles from `base_ms` up to `limit_ms`; `jitter` in [0, 1) then takes away up to half, so that tasks that
    failed together do not come back together.
    """
    whole = min(limit_ms, base_ms * 2 ** min(retry - 1, 60))
    return int(whole * (1 - jitter / 2))


def backoff_table(base_ms: float, limit_ms: float, draw: Callable[[], float] = random.random) -> list[int]:
    """The delays before retries 1, 2, …; the last one holds for all further ones."""
    return [backoff_ms(retry, base_ms, limit_ms, draw()) for retry in range(1, BACKOFF_STEPS + 1)]


def execute_at_ms(value: str | int | float) -> int:
    """A moment as milliseconds since 1970, from such a number or from ISO 8601 text with an offset.

    Raises:
        InvalidInput: it is neither, or names no time zone.
    """
    if isinstance(value, int | float):
        if not 0 <= value < 2**53:
            raise InvalidInput("executeAt must be milliseconds since 1970.")
        return int(value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise InvalidInput("executeAt must be milliseconds since 1970, or like 2026-07-01T12:00:00Z.") from None
    if moment.tzinfo is None:
        raise InvalidInput("executeAt names no time zone; end it with Z or an offset like +02:00.")
    return max(0, int(moment.timestamp() * 1000))


def check_size(what: str, text: str, limit: int) -> str:
    """The text, if its UTF-8 is within the limit.

    Raises:
        TooLarge: it is not.
    """
    if len(text) > limit or len(text.encode()) > limit:
        raise TooLarge(f"The {what} is larger than the {limit} bytes that TASK_MAX_PAYLOAD allows.")
    return text
