"""The first number of a room script's reply, and what each means, in one place."""

from enum import IntEnum
from typing import Any

from app.errors import Conflict, JoinsHeld, NotFound, RoomClosed


class Reply(IntEnum):
    """Statuses of the scripts in `app/rooms/lua`."""

    OK = 0
    NO_SUCH_ROOM = -1
    HEALING = -2
    CLOSED = -3
    CHANGED_MEANWHILE = -4


def check(room: str, reply: list[Any]) -> list[Any]:
    """The reply, when it is a good one.

    Raises:
        NotFound, JoinsHeld, RoomClosed, Conflict: as its status says.
    """
    status = Reply(reply[0])
    if status is Reply.OK:
        return reply
    if status is Reply.NO_SUCH_ROOM:
        raise NotFound(f"There is no room named {room!r}.")
    if status is Reply.HEALING:
        raise held(max(1.0, reply[1] / 1000))
    if status is Reply.CLOSED:
        raise RoomClosed("This room takes no more visitors; those who are in line keep their places.")
    raise Conflict("Somebody else changed this first; look again, then repeat your change.", current=reply[1])


def held(retry_after_s: float) -> JoinsHeld:
    """The error that tells a visitor to come back in a moment."""
    return JoinsHeld(
        "Places are not being given out for a moment while the service checks the line; try again shortly.",
        retry_after_s=retry_after_s,
    )
