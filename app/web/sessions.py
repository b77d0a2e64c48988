"""Entering a room when the turn has come, prolonging the session, leaving: the visitor's, with the ticket."""

from datetime import UTC, datetime

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from app.errors import TicketRefused
from app.rooms.room import Room
from app.rooms.sessions import Session
from app.settings import ROOM_NAME_PATTERN
from app.tickets.tickets import Ticket
from app.web.access import bearer_token
from app.web.bodies import NO_STORE, Wire, answer
from app.web.cookies import ticket_in_cookies
from app.web.operations import Answer, Operation, services_of
from app.web.origins import Origins


class SessionAnswer(Wire):
    """A session in a room."""

    room: str
    session_id: str = Field(description="Its name, unique within the room.")
    position: int
    epoch: int
    status: str = Field(description="Always `entered`.")
    started_at: datetime
    ends_at: datetime = Field(description="When it ends unless it is renewed.")
    ends_in_seconds: float
    renewable_until: datetime = Field(description="No renewal reaches further than this.")


async def enter(request: Request) -> Response:
    """Turn the visitor's open turn into a session; again gives the same one."""
    room, ticket = await visitor_of(request)
    return _answer(request, room, await services_of(request).visits.enter(room, ticket))


async def renew(request: Request) -> Response:
    """Prolong the session."""
    room, ticket = await visitor_of(request)
    return _answer(request, room, await services_of(request).visits.renew(room, ticket))


async def leave(request: Request) -> Response:
    """End the visit; the slot is the next visitor's at once."""
    room, ticket = await visitor_of(request)
    await services_of(request).visits.leave(room, ticket)
    return Response(status_code=204, headers=NO_STORE | _cors(request))


async def visitor_of(request: Request) -> tuple[Room, Ticket]:
    """The room of the path and the ticket that came along, by bearer or cookie.

    Raises:
        NotFound: there is no such room.
        Forbidden: a page of another site asks.
        TicketRefused: there is no ticket, or it does not hold, or is another room's.
    """
    services = services_of(request)
    room = services.rooms.get(request.path_params["room"])
    headers = dict(request.scope["headers"])
    token: bytes | str | None = bearer_token(request.headers.get("authorization", ""))
    if token is None:
        Origins(services.settings).check_change(headers)
        token = ticket_in_cookies(headers.get(b"cookie", b""), room.name_bytes)
    if not token:
        raise TicketRefused("Send the ticket as `Authorization: Bearer …`; POST /join gives one.", reason="missing")
    ticket = await services.visits.tickets.verify(token if isinstance(token, bytes) else token.encode("latin-1"))
    if ticket.room != room.name:
        raise TicketRefused(f"The ticket is for the room {ticket.room!r}, not for this one.", reason="other_room")
    return room, ticket


def _answer(request: Request, room: Room, session: Session) -> Response:
    content = SessionAnswer(
        room=room.name,
        session_id=session.session_id,
        position=session.position,
        epoch=session.epoch,
        status="entered",
        started_at=_time(session.started_ms),
        ends_at=_time(session.ends_ms),
        ends_in_seconds=max(0.0, (session.ends_ms - session.now_ms) / 1000),
        renewable_until=_time(session.last_end_ms),
    )
    response = answer(content)
    response.headers.update(_cors(request))
    return response


def _cors(request: Request) -> dict[str, str]:
    origins = Origins(services_of(request).settings)
    return {name.decode(): value.decode() for name, value in origins.cors_headers(dict(request.scope["headers"]))}


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


_ROOM = {"room": ROOM_NAME_PATTERN}
_PROBLEMS = (401, 403, 404, 410, 503)

OPERATIONS = (
    Operation(
        "POST",
        "/rooms/{room}/enter",
        enter,
        "Enter when it is your turn",
        "visitors",
        {200: Answer("The session; entering again gives the same one.", SessionAnswer)},
        description="Decided in the store, whatever /status said. 409: you still wait. 410: your turn or visit is over.",
        path_patterns=_ROOM,
        problems=(*_PROBLEMS, 409),
        ticket=True,
    ),
    Operation(
        "POST",
        "/rooms/{room}/renew",
        renew,
        "Prolong the session",
        "visitors",
        {200: Answer("The session with its new end.", SessionAnswer)},
        path_patterns=_ROOM,
        problems=_PROBLEMS,
        ticket=True,
    ),
    Operation(
        "POST",
        "/rooms/{room}/leave",
        leave,
        "Leave: the line, the turn or the session",
        "visitors",
        {204: Answer("The visit has ended; leaving twice is the same as once.")},
        path_patterns=_ROOM,
        problems=(401, 403, 404, 503),
        ticket=True,
    ),
)
