"""What the store's errors mean: that it is away, or that it holds what we have not written, which is then written down."""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis.exceptions import (
    BusyLoadingError,
    ClusterError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.errors import StateUnreadable
from app.logs import get_logger
from app.store import keys

log = get_logger(__name__)

_AWAY = (
    RedisConnectionError,
    RedisTimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    OutOfMemoryError,
    NoPermissionError,
    ClusterError,
    SlotNotCoveredError,
    TryAgainError,
    OSError,
    TimeoutError,
)
_AWAY_PREFIXES = ("NOREPLICAS", "UNBLOCKED", "MISCONF", "BUSY", "ACL failure in script", "Protocol error")
"""Of errors that redis-py has no class of their own for. The last is what somebody is told who has not said the password."""

TELL_AGAIN_S = 60.0
MOST_TOLD = 1000

_OF_COMMANDS = ("WRONGTYPE", "value is not an integer", "value is not a valid float", "hash value is not")
_INSIDE_A_SCRIPT = re.compile(r" script: (?:[0-9a-f]{40}, )?on @user_script:\d+\.?$")
"""As Redis writes it, and Valkey. Our scripts fail at nothing else: what the server cannot do just now is told apart before."""
_TAG = re.compile(r"\{(?:(room|tasks|lock):)?([^}]*)\}")
_WHAT = {"room": "the room", "tasks": "the task queue", "lock": "the lock"}


def away_error(reply: object) -> BaseException | None:
    """The reply, when it is an error that says the store cannot do it now, rather than that it was asked wrongly."""
    if isinstance(reply, _AWAY) or (isinstance(reply, ResponseError) and str(reply).startswith(_AWAY_PREFIXES)):
        return reply
    if isinstance(reply, RedisClusterException) and reply.__cause__ is not None:
        return reply  # none of the nodes answered; without a cause it is a mistake in the call
    return None


def is_unreadable(reply: object) -> bool:
    """Whether a reply is an error about what a key holds: another type, or nothing that a script can reckon with."""
    if not isinstance(reply, ResponseError):
        return False
    text = str(reply)
    return text.startswith(_OF_COMMANDS) or _INSIDE_A_SCRIPT.search(text) is not None


def explained(names: Sequence[str]) -> StateUnreadable:
    """The error for whoever asked for something that these keys belong to."""
    tag = _TAG.search(names[0]) if names else None
    what = f"{_WHAT[tag[1]]} {tag[2]!r}" if tag and tag[1] else "this"
    return StateUnreadable(
        f"What the store holds of {what} cannot be read: something else has been written there. "
        "The service's log names the key, which has to be repaired or deleted."
    )


class Unreadables:
    """Says once a minute for each room, queue and lock what is wrong with it."""

    def __init__(self) -> None:
        self._told_s: dict[str, float] = {}

    def is_news(self, names: Sequence[str], now_s: float) -> bool:
        """Whether it is time to say it, of the room, queue or lock that has these keys."""
        subject = _subject(names)
        if now_s - self._told_s.get(subject, float("-inf")) < TELL_AGAIN_S:
            return False
        if len(self._told_s) >= MOST_TOLD:
            self._told_s.clear()
        self._told_s[subject] = now_s
        return True

    async def tell(self, client: Any, names: Sequence[str], reason: str) -> None:
        """Write down which of the keys hold another type than they should; where none does, all that are there."""
        kinds = {}
        with suppress(RedisError, OSError, TimeoutError):  # then which of them it is stays open
            for name in names:
                kinds[name] = (await client.type(name)).decode()
        there = [name for name in names if kinds.get(name) != "none"]
        wrong = [name for name in there if kinds.get(name, "") not in ("", keys.type_of(name))]
        log.error("state_unreadable", keys=wrong or there, reason=reason)


def _subject(names: Sequence[str]) -> str:
    """What keys have in common: the tag, or the name of one that stands alone."""
    tag = _TAG.search(names[0]) if names else None
    return tag[0] if tag else "".join(names[:1])
