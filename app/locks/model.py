"""The words of the locks: what is wanted, what was granted, and how a lock looks. No I/O here."""

from dataclasses import dataclass
from enum import IntEnum

from app.errors import InvalidInput, TooLarge

MAX_ID_BYTES = 512
MAX_OWNER_CHARS = 100
MIN_LEASE_MS = 100
MAX_LIMIT = 10_000


class Status(IntEnum):
    """The first member of every script's reply."""

    FREE = 0
    GRANTED = 1
    WAITING = 2
    HELD = 3
    OTHER_LIMIT = 4
    LINE_FULL = 5
    LOST = 6
    RELEASED = 7


@dataclass(frozen=True)
class Wanted:
    """A lock as somebody asks for it."""

    lock_id: str
    lease_ms: int
    wait_ms: int = 0
    """How long to stand in line; 0 means to be refused at once."""
    limit: int = 1
    """How many may hold it at the same time."""
    owner: str = ""
    """Who asks, in words for the operator."""


@dataclass(frozen=True)
class Grant:
    """A lock that is held."""

    lock_id: str
    token: str
    """The holder's secret: it renews and releases."""
    fence: int
    """Higher than that of every earlier grant of this id; resources refuse lower ones than they have seen."""
    lease_ms: int
    granted_ms: int
    """When the lease began, by the store's clock."""
    asked_s: float
    """When it was asked for, by this process's monotonic clock: the lease cannot have begun earlier."""
    waited_s: float = 0.0
    """How long it had been waited for by then."""

    @property
    def safe_until_s(self) -> float:
        """The monotonic moment after which the holder must not count on the lock any more."""
        return self.asked_s + (self.lease_ms - safety_margin_ms(self.lease_ms)) / 1000


@dataclass(frozen=True)
class Holder:
    """One holder of a lock, as anybody may see it."""

    fence: int
    since_ms: int
    lease_left_ms: int
    confirmed: bool
    replica: str
    owner: str


@dataclass(frozen=True)
class LockView:
    """A lock as it stands."""

    lock_id: str
    limit: int
    waiters: int
    last_fence: int
    now_ms: int
    holders: tuple[Holder, ...]


def safety_margin_ms(lease_ms: int) -> float:
    """How long before the end of its lease a holder stops: a twentieth, at least 50 ms, at most a quarter."""
    return min(max(lease_ms / 20, 50.0), lease_ms / 4)


def checked_id(lock_id: str) -> str:
    """The id, when it can be one: any characters, 1 to 512 bytes.

    Raises:
        InvalidInput: it is empty or no valid text.
        TooLarge: it is longer.
    """
    if not lock_id:
        raise InvalidInput("Say which id to lock: it may not be empty.")
    try:
        size = len(lock_id.encode())
    except UnicodeEncodeError:
        raise InvalidInput("The id is not valid UTF-8 text.") from None
    if size > MAX_ID_BYTES:
        raise TooLarge(f"The id has {size} bytes; at most {MAX_ID_BYTES} are taken.")
    return lock_id


def parse_holder(entry: str, lease_end_ms: int, now_ms: int) -> Holder:
    """One holder from what the state hash keeps of it."""
    fence, since, _, confirmed, replica, owner = entry.split(" ", 5)
    return Holder(int(fence), int(since), max(lease_end_ms - now_ms, 0), confirmed == "1", replica, owner)
