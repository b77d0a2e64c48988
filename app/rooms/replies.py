"""The first number of a room script's reply, and what each means, in one place."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from app.errors import (
    Conflict,
    JoinsHeld,
    NotFound,
    NotYourTurn,
    RoomClosed,
    StanchionError,
    TurnedAway,
    TurnOver,
    VisitBarred,
)


class Reply(IntEnum):
    """Statuses of the scripts in `app/rooms/lua`."""

    OK = 0
    NO_SUCH_ROOM = -1
    HEALING = -2
    CLOSED = -3
    CHANGED_MEANWHILE = -4
    NOT_YET = -5
    TURNED_AWAY = -6
    TURN_OVER = -7
    ENDED = -8
    OTHER_EPOCH = -9
    NO_SESSION = -10
    TOO_MANY = -11
    NO_SUCH_CODE = -12


_OVER = {
    Reply.TURN_OVER: ("expired", "Your turn is over; join again for a new place."),
    Reply.ENDED: ("ended", "Your visit has ended; join again for a new place."),
    Reply.OTHER_EPOCH: ("reset", "This line was started anew; join again for a place in it."),
    Reply.NO_SESSION: ("expired", "There is no session to prolong; enter first."),
}


def check(room: str, reply: list[Any]) -> list[Any]:
    """The reply, when it is a good one.

    Raises:
        NotFound, JoinsHeld, RoomClosed, Conflict, NotYourTurn, TurnedAway, TurnOver: as its status says.
    """
    if reply[0] == 0:
        return reply
    raise error_of(room, reply)


def check_known(room: str, reply: list[Any]) -> list[Any]:
    """As `check`, for a room that this replica knows: a store that does not has forgotten it, or has yet to be told.

    Raises:
        JoinsHeld, RoomClosed, Conflict, NotYourTurn, TurnedAway, TurnOver: as the reply's status says.
    """
    if reply[0] == Reply.NO_SUCH_ROOM:
        raise held(1.0)
    return check(room, reply)


def error_of(room: str, reply: Sequence[Any]) -> StanchionError:
    """The error that a reply, or one entry's part of it, stands for."""
    return _error(room, Reply(reply[0]), reply)


def _error(room: str, status: Reply, reply: Sequence[Any]) -> StanchionError:
    if status in _OVER:
        word, message = _OVER[status]
        return TurnOver(message, visitStatus=word)
    if status is Reply.NO_SUCH_ROOM:
        return NotFound(f"There is no room named {room!r}.")
    if status is Reply.HEALING:
        return held(max(1.0, reply[1] / 1000))
    if status is Reply.CLOSED:
        return RoomClosed("This room takes no more visitors; those who are in line keep their places.")
    if status is Reply.TURNED_AWAY:
        return TurnedAway("This room takes nobody in for now.", chosen_status=503)
    if status is Reply.NOT_YET:
        return NotYourTurn("It is not your turn yet; ask /status how long it may take.", retry_after_s=1)
    return Conflict("Somebody else changed this first; look again, then repeat your change.", current=reply[1])


def held(retry_after_s: float) -> JoinsHeld:
    """The error that tells a visitor to come back in a moment."""
    return JoinsHeld(
        "Places are not being given out for a moment while the service checks the line; try again shortly.",
        retry_after_s=retry_after_s,
    )


def barred(wait_s: float) -> VisitBarred:
    """The error that keeps a visitor out whose visit was revoked."""
    return VisitBarred("Your visit was ended by the site, which keeps you out for now.", retry_after_s=wait_s)
