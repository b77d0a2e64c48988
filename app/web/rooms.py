"""The visitor's routes as operations. The hot dispatcher (`app.web.hot`) answers them for every room there is;
what reaches the handler here names a room that there is not."""

from typing import Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from app.errors import NotFound
from app.settings import ROOM_NAME_PATTERN
from app.web.bodies import Wire
from app.web.operations import Answer, Operation


class Place(Wire):
    """A visitor's place in line."""

    token: str | None = Field(None, description="The ticket: always from /join; from /status when it was renewed.")
    room: str
    position: int = Field(ge=1, description="The place, counted from 1 in each epoch of the room.")
    status: Literal["waiting", "active", "entered", "expired", "passed", "ended", "paused", "closed", "reset"]
    ahead: int = Field(ge=0, description="How many visitors stand before this one.")
    estimated_wait_seconds: int = Field(ge=0, description="Until the turn, at the room's present pace.")
    estimated_wait_low_seconds: int = Field(ge=0, description="The turn is likely not to come before this.")
    estimated_wait_high_seconds: int | None = Field(
        ge=0, description="The turn is likely to come before this; null while nothing can be said."
    )
    poll_after_seconds: float = Field(gt=0, description="When to ask again; also as `Retry-After`.")
    active_for_seconds: float | None = Field(None, description="For an active visitor: what is left of the turn.")
    epoch: int = Field(ge=1, description="One more with every reset of the room.")
    stale: bool = Field(description="True while the store is away and this is answered from memory.")
    message: str = Field(description="What it means, as a sentence.")


class Serving(Wire):
    """A room's public state, the same for everybody."""

    room: str
    epoch: int = Field(ge=1)
    version: int = Field(ge=1, description="One more with every change that a visitor could see.")
    serving: int = Field(ge=0, description="The edge: the last position whose turn has come.")
    last: int = Field(ge=0, description="The last position given out.")
    waiting: int = Field(ge=0)
    window_size: int = Field(ge=1)
    window_interval_seconds: float = Field(gt=0)
    next_move_seconds: float | None = Field(description="Until the edge moves; null when nobody waits.")
    paused: bool
    closed: bool
    full: bool = Field(description="Whether as many wait as may; a place may still be free for who goes in at once.")
    passes_over: bool = Field(
        description="Whether visitors who ask later than told may be passed over: also those who listen to /events."
    )
    opens_at: int | None = Field(
        description="When the room opens by itself, in milliseconds since 1970; until then nobody is let in. null: it is open."
    )
    refusal: str | None = Field(description="Where nobody may join (method `reject`), the operator's reason.")
    stale: bool
    message: str | None = Field(description="What the operator has to say to everybody.")
    updated_at: int = Field(description="When the store said so, in milliseconds since 1970.")


async def unknown_room(request: Request) -> Response:
    """No such room: what answers ahead of the router would have answered otherwise."""
    raise NotFound(f"There is no room named {request.path_params.get('room', 'default')!r}.")


_RETRY_AFTER = {"Retry-After": "Seconds until asking again makes sense."}
_TICKET_HEADERS = {
    "X-Request-Id": "Returned, and found in the logs.",
}
_JOIN_HEADERS = {
    "Idempotency-Key": "Up to 200 characters: the same key within ten minutes gives the same place.",
    "X-Identity-Token": "Who joins, signed by the site, where the room asks: the same person has the same place.",
    **_TICKET_HEADERS,
}


def _operations(prefix: str) -> tuple[Operation, ...]:
    patterns = {"room": ROOM_NAME_PATTERN} if prefix else {}
    missing = (404,) if prefix else ()
    where = "a room" if prefix else "the room `default`"
    return (
        Operation(
            "POST",
            f"{prefix}/join",
            unknown_room,
            f"Take a place in line in {where}",
            "visitors",
            {200: Answer("The place, with its ticket.", Place, _RETRY_AFTER)},
            description="With a live ticket, that ticket's place. Browsers get the ticket as a cookie as well.",
            headers=_JOIN_HEADERS,
            ticket=True,
            path_patterns=patterns,
            problems=(400, 401, 403, 404, 409, 410, 429, 503),
        ),
        Operation(
            "GET",
            f"{prefix}/status",
            unknown_room,
            f"Ask how a place stands in {where}",
            "visitors",
            {200: Answer("The place.", Place, _RETRY_AFTER)},
            description="By bearer token or cookie. Costs the store nothing; still answers while the store is away.",
            headers=_TICKET_HEADERS,
            ticket=True,
            path_patterns=patterns,
            problems=(401, *missing, 503),
        ),
        Operation(
            "GET",
            f"{prefix}/serving",
            unknown_room,
            f"Look at {where} from outside",
            "visitors",
            {200: Answer("The public state, to be cached for a second.", Serving)},
            path_patterns=patterns,
            problems=(*missing, 503),
        ),
    )


OPERATIONS = (*_operations(""), *_operations("/rooms/{room}"))
