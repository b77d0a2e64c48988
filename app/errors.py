"""What can go wrong, as one hierarchy without HTTP in it.

Each class carries a `kind` (a stable slug that programs may test) and a `title`. The message of an
instance is a sentence for a person: what happened and what to do. `app.web.problems` holds the one
table that turns kinds into status codes.
"""

from collections.abc import Sequence
from typing import Any


class StanchionError(Exception):
    """Something Stanchion knows how to explain.

    `retry_after_s` says when another try makes sense; `extra` holds further members for programs.
    """

    kind = "internal"
    title = "Internal error"

    def __init__(self, message: str, *, retry_after_s: float | None = None, **extra: Any) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s
        self.extra = extra


class ConfigError(StanchionError):
    """The settings cannot be used; nothing has been started."""

    kind = "config"
    title = "Settings refused"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class StoreUnavailable(StanchionError):
    """Redis cannot be reached, or did not answer in time. The outcome of a change is unknown."""

    kind = "store-unavailable"
    title = "The store is away"

    def __init__(self, message: str = "The store cannot be reached right now; try again shortly.") -> None:
        super().__init__(message, retry_after_s=2)


class StateUnreadable(StoreUnavailable):
    """The store answers, but holds something there that we have not written: another type, or what should be a number.

    To whoever can do without the store it is as good as away.
    """

    kind = "state-unreadable"
    title = "The stored state cannot be read"


class InvalidInput(StanchionError):
    """The request is malformed; `errors` in `extra` may name each field."""

    kind = "invalid-input"
    title = "Invalid request"


class TooLarge(StanchionError):
    """A body, header, id or query is beyond its size limit."""

    kind = "too-large"
    title = "Too large"


class NotFound(StanchionError):
    """There is no such thing."""

    kind = "not-found"
    title = "Not found"


class Conflict(StanchionError):
    """The request is fine, but does not fit the present state."""

    kind = "conflict"
    title = "Conflict"


class Unauthorized(StanchionError):
    """A token is missing or not accepted; `reason` is a stable slug that says why."""

    kind = "unauthorized"
    title = "Not authorised"

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message, reason=reason)
        self.reason = reason


class Forbidden(StanchionError):
    """Known or not, this caller may not do that from there."""

    kind = "forbidden"
    title = "Forbidden"


class TicketRefused(Unauthorized):
    """A ticket is missing or does not hold; `reason` says which check failed."""

    kind = "ticket-refused"
    title = "Ticket refused"


class PassRefused(Unauthorized):
    """A pass is missing or does not hold; `reason` says which check failed."""

    kind = "pass-refused"
    title = "Pass refused"


class VipRefused(Unauthorized):
    """A VIP code does not hold; `reason` says which check failed."""

    kind = "vip-refused"
    title = "VIP code refused"


class PassNeeded(StanchionError):
    """The site behind the gate wants a pass, which a place in line leads to; members in `extra` say where."""

    kind = "pass-needed"
    title = "Wait in line first"


class JoinsHeld(StanchionError):
    """Positions are not being issued for a moment: the room is healing, or its store is away."""

    kind = "joins-held"
    title = "Joins are held"


class RoomClosed(StanchionError):
    """The room takes no more visitors."""

    kind = "room-closed"
    title = "The room is closed"


class LeaseLost(Conflict):
    """The task is not leased with this token (any more); nothing was changed."""

    kind = "lease-lost"
    title = "The lease is lost"


class OutcomeUnknown(StanchionError):
    """Strict mode: the change was made, but not confirmed by as many copies as asked for."""

    kind = "outcome-unknown"
    title = "Outcome unknown"


class LockHeld(StanchionError):
    """The lock is held and the caller did not want to wait; the hint is what is left of the holder's lease."""

    kind = "locked"
    title = "Locked"


class LockWaitRanOut(StanchionError):
    """The wait for a lock, or for an upstream that answers 423, is over."""

    kind = "wait-ran-out"
    title = "The wait ran out"


class LockLineFull(StanchionError):
    """More waiters stand in line for this lock than it takes."""

    kind = "line-full"
    title = "The line is full"


class LockLost(StanchionError):
    """This token does not hold the lock, or no longer."""

    kind = "lock-lost"
    title = "The lock is not held"


class HoldAborted(StanchionError):
    """The work under a lock was cut short, because its lease could not be renewed in time."""

    kind = "hold-aborted"
    title = "The lock was lost during the work"


class UpstreamUnavailable(StanchionError):
    """The upstream cannot be reached, or broke off before it answered."""

    kind = "upstream-unavailable"
    title = "The upstream is unavailable"


class UpstreamTimeout(StanchionError):
    """The upstream took the request and did not answer within the time limit."""

    kind = "upstream-timeout"
    title = "The upstream is too slow"


class TooBusy(StanchionError):
    """This replica takes no more of these for now."""

    kind = "too-busy"
    title = "Too busy"


class RoomFull(StanchionError):
    """As many wait as may wait."""

    kind = "room-full"
    title = "The room is full"


class TurnedAway(StanchionError):
    """The room refuses everyone, in the operator's words and with the status code of the operator's choice."""

    kind = "turned-away"
    title = "Turned away"

    def __init__(self, message: str, *, chosen_status: int) -> None:
        super().__init__(message)
        self.chosen_status = chosen_status


class TooManyJoins(StanchionError):
    """This address has joined as often as an address may for now."""

    kind = "too-many-joins"
    title = "Too many joins from one address"


class CodeRefused(StanchionError):
    """A code that takes a place to another device does not hold: mistyped, used, or over."""

    kind = "code-refused"
    title = "Code refused"


class TooManyCodes(StanchionError):
    """Codes that take places to other devices were made or tried too often of late."""

    kind = "too-many-codes"
    title = "Too many codes"


class NotYourTurn(StanchionError):
    """The visitor still waits."""

    kind = "not-your-turn"
    title = "It is not your turn yet"


class TurnOver(StanchionError):
    """The ticket's turn or visit is over; `visitStatus` in `extra` says how."""

    kind = "turn-over"
    title = "Your turn is over"


class SignInRefused(StanchionError):
    """The dashboard was not given the admin token."""

    kind = "sign-in-refused"
    title = "Sign-in refused"


class TooManyTries(StanchionError):
    """Too many wrong tokens have come from this address; the hint says when it may try again."""

    kind = "too-many-tries"
    title = "Too many tries"


class VisitBarred(StanchionError):
    """The visit was revoked, and its holder may take no new place for a time."""

    kind = "visit-barred"
    title = "Kept out"


class IdentityRefused(Unauthorized):
    """An identity token is missing or does not hold; `reason` says which check failed."""

    kind = "identity-refused"
    title = "Identity refused"
