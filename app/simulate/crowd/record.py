"""What a played crowd leaves behind: every answer, and the room as it looked from outside. All times are seconds of the run."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from app.simulate.crowd.plan import Visitor, Wish


class Act(StrEnum):
    """What a visitor did."""

    JOIN = "join"
    """For a new place."""
    STATUS = "status"
    RELOAD = "reload"
    """A join with a ticket that holds: the same place must come back."""
    TAB = "tab"
    """Asking from a second tab."""
    ENTER = "enter"
    RENEW = "renew"
    LEAVE = "leave"
    GATE = "gate"
    """Asking for the site, behind the gate."""
    PAGE = "page"
    """Opening the waiting page, where the gate has led to."""
    LISTEN = "listen"
    """Opening a stream of the room's news; the answer is the first of them."""
    GIVE_UP = "give-up"
    """Closing the page without a word: nothing is sent."""


IN_LINE = frozenset({"waiting", "paused", "passed"})
ADMITTED = frozenset({"active", "entered"})
HELD = "held"
"""The gate lets this visitor not through; what it says to those whom it does let through is in `Event.status`."""
NEED_NOT_WAIT = frozenset({"bypass", "open"})
"""Let through by a rule of the room, or because the store is lost and the room says so: nobody's turn."""


class Event(NamedTuple):
    """One thing a visitor did, and what came of it."""

    visitor: int
    act: Act
    due_s: float
    """When the visitor meant to."""
    sent_s: float
    got_s: float
    http: int
    """0: no answer."""
    status: str = ""
    """The visit's status; or the kind of the problem; or, without an answer, why."""
    epoch: int = 0
    position: int = 0
    ahead: int = 0
    low_s: float = 0.0
    high_s: float | None = None
    poll_s: float = 0.0
    """When to ask again, as told."""
    left_s: float = 0.0
    """What is left of the turn or the session, as told."""
    stale: bool = False
    queued_s: float = 0.0
    """How long the request waited for a free connection."""

    @property
    def told(self) -> bool:
        """Whether this is an answer about a place."""
        return self.http == 200 and self.position > 0

    @property
    def lag_s(self) -> float:
        """How much later than meant the request went out, on the player's side: its own slowness, and the wait for a connection."""
        return max(0.0, self.sent_s - self.due_s)


class News(NamedTuple):
    """What a stream says of the room."""

    epoch: int
    edge: int
    paused: bool
    passes_over: bool
    """Whether who asks late may be passed over."""


class Setback(NamedTuple):
    """A stream that took back what it had said."""

    visitor: int
    at_s: float
    before: News
    after: News


class Sample(NamedTuple):
    """The room as seen from outside at one moment."""

    at_s: float
    edge: int
    last: int
    waiting: int
    active: int | None
    """Open turns and sessions together; only the operator sees them, where they are counted."""
    stale: bool = False


class Limits(NamedTuple):
    """What the room's settings allow; None: no such limit."""

    batch: int | None = None
    interval_s: float = 0.0
    rate_per_minute: float | None = None
    burst: int = 1
    max_active: int | None = None
    counted: bool = False
    """Whether the service counts turns and sessions one by one."""


class End(StrEnum):
    """What ended the run."""

    ALL_DONE = "all done"
    TIME_LIMIT = "time limit"
    INTERRUPTED = "interrupted"


@dataclass
class Recording:
    """A whole run."""

    wish: Wish
    room: str
    urls: list[str]
    visitors: list[Visitor]
    events: list[Event] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    heard: int = 0
    """News that came by streams."""
    setbacks: list[Setback] = field(default_factory=list)
    limits: Limits | None = None
    """None: not known."""
    no_limits_because: str = ""
    operator_acted: bool | None = None
    """Whether somebody steered the room meanwhile; None: not known."""
    ended: End = End.ALL_DONE
    took_s: float = 0.0
    cpu_s: float = 0.0
    """Processor time of the player."""
    connections: int = 0
    sites: list[str] = field(default_factory=list)
    """Addresses behind the gate where visitors begin; none: they go to the room itself."""
