"""Entering a room when the turn has come, prolonging the session, leaving: the visitor's, with the ticket or the pass."""

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import Field
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.errors import NotFound, PassRefused, StanchionError, TicketRefused, Unauthorized
from app.rooms.room import Room
from app.services import Services
from app.services.visits import Admission, Visitor
from app.settings import ROOM_NAME_PATTERN
from app.tickets.passes import IssuedPass
from app.tickets.tickets import Ticket
from app.web.access import bearer_token
from app.web.bodies import NO_STORE, Wire, answer
from app.web.cookies import CARRIER, pass_cookie, pass_in_cookies, ticket_in_cookies
from app.web.entry import way_on
from app.web.operations import Answer, Handler, Operation, services_of
from app.web.origins import origins_of
from app.web.page_forms import back_to_page, is_page_form, posted_by_page
from app.web.proxies import is_https

TICKET, PASS = "ticket", "pass"


class SessionAnswer(Wire):
    """A session in a room."""

    room: str
    session_id: str = Field(description="Its name, unique within the room.")
    position: int
    epoch: int
    status: str = Field(description="Always `entered`.")
    pass_token: str = Field(
        serialization_alias="pass", description="The pass: a JWT that the site can check, until the session ends."
    )
    started_at: datetime
    ends_at: datetime = Field(description="When it ends unless it is renewed.")
    ends_in_seconds: float
    renewable_until: datetime = Field(description="No renewal reaches further than this.")
    target: str | None = Field(
        None,
        description="From entering: where the visitor goes on to. On a page of our own, with an entry code where that is "
        "another host.",
    )


class EnterQuery(Wire):
    """What a page's form says besides."""

    target: str = Field(default="", description="Where the visitor wants to go afterwards.")


async def enter(request: Request) -> Response:
    """Turn the visitor's open turn into a session; again gives the same one."""
    room, visitor = await visitor_of(request, (TICKET, PASS))
    admission = await services_of(request).visits.enter(room, visitor)
    target = await way_on(request, room, admission.issued if _from_own_page(request) else None)
    if posted_by_page(request):
        response: Response = RedirectResponse(target, 303, headers=NO_STORE)
    else:
        response = _answer(room, admission, target)
    return _with_pass_cookie(request, response, room, admission.issued)


async def renew(request: Request) -> Response:
    """Prolong the session."""
    room, visitor = await visitor_of(request, (PASS, TICKET))
    admission = await services_of(request).visits.renew(room, visitor)
    return _with_pass_cookie(request, _answer(room, admission), room, admission.issued)


async def leave(request: Request) -> Response:
    """End the visit; the slot is the next visitor's at once."""
    room, visitor = await visitor_of(request, (PASS, TICKET))
    await services_of(request).visits.leave(room, visitor)
    answered = back_to_page(request) if posted_by_page(request) else Response(status_code=204, headers=NO_STORE)
    return _with_pass_cookie(request, answered, room, None)


def page_aware(handler: Handler) -> Handler:
    """A page without scripts that meets a problem is led back to the waiting page, which explains it."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except StanchionError as error:
            if not posted_by_page(request) or isinstance(error, NotFound):
                raise
            return back_to_page(request, error)

    return handle


async def visitor_of(request: Request, cookies: Sequence[str]) -> tuple[Room, Visitor]:
    """The room of the path, and whose ticket or pass came along: as a header, or in one of `cookies`, the first first.

    Raises:
        NotFound: there is no such room.
        Forbidden: a page of another site asks.
        TicketRefused, PassRefused: there is none, or it does not hold, or is another room's.
    """
    services = services_of(request)
    room = services.rooms.get(request.path_params["room"])
    ticket = bearer_token(request.headers.get("authorization", ""))
    if ticket is not None:
        return room, await _ticket_holder(services, room, ticket.encode("latin-1"))
    headers = dict(request.scope["headers"])
    if CARRIER in headers:
        return room, await _pass_holder(services, room, headers[CARRIER])
    origins_of(request).check_change(headers)
    refused: Unauthorized = TicketRefused(
        "Send the ticket as `Authorization: Bearer …`; POST /join gives one.", reason="missing"
    )
    for kind in cookies:
        try:
            return room, await _cookie_holder(request, room, kind, refused)
        except Unauthorized as error:  # an old cookie of one kind must not hide a good one of the other
            refused = error
    raise refused


async def _cookie_holder(request: Request, room: Room, kind: str, otherwise: Unauthorized) -> Visitor:
    cookie = dict(request.scope["headers"]).get(b"cookie", b"")
    if kind == TICKET:
        token = ticket_in_cookies(cookie, room.name_bytes)
    else:
        token = pass_in_cookies(cookie, room.name_bytes, secure=is_https(request))
    if not token:
        raise otherwise
    return await (_ticket_holder if kind == TICKET else _pass_holder)(services_of(request), room, token)


async def ticket_for(services: Services, room: Room, token: bytes) -> Ticket:
    """The ticket of a token, when it holds for this room.

    Raises:
        TicketRefused: it does not hold, or is another room's.
        StoreUnavailable: as `Tickets.verify`.
    """
    ticket = await services.visits.tickets.verify(token)
    if ticket.room != room.name:
        raise TicketRefused(f"The ticket is for the room {ticket.room!r}, not for this one.", reason="other_room")
    return ticket


async def _ticket_holder(services: Services, room: Room, token: bytes) -> Visitor:
    ticket = await ticket_for(services, room, token)
    return Visitor(ticket.epoch, ticket.position, ticket.active_until_run_ms)


async def _pass_holder(services: Services, room: Room, token: bytes) -> Visitor:
    claims = await services.passes.verify(token)
    if claims.room != room.name:
        raise PassRefused(f"The pass is for the room {claims.room!r}, not for this one.", reason="other_room")
    return Visitor(claims.epoch, claims.position)


def _answer(room: Room, admission: Admission, target: str | None = None) -> Response:
    session = admission.session
    content = SessionAnswer(
        room=room.name,
        session_id=session.session_id,
        position=session.position,
        epoch=session.epoch,
        status="entered",
        pass_token=admission.issued.token.decode(),
        started_at=_time(session.started_ms),
        ends_at=_time(session.ends_ms),
        ends_in_seconds=max(0.0, (session.ends_ms - session.now_ms) / 1000),
        renewable_until=_time(session.last_end_ms),
        target=target,
    )
    return answer(content)


def _with_pass_cookie(request: Request, response: Response, room: Room, issued: IssuedPass | None) -> Response:
    """Give a browser on a page of our own host its pass as a cookie, too, or take it away."""
    if _from_own_page(request):
        token, max_age_s = (issued.token, issued.claims.expires_s - issued.claims.issued_s) if issued else (b"", 0)
        cookie = pass_cookie(room.name_bytes, token, secure=is_https(request), max_age_s=max_age_s)
        response.headers.append("set-cookie", cookie.decode("latin-1"))
    return response


def _from_own_page(request: Request) -> bool:
    """Whether a browser asks, on a page of our own host."""
    headers = dict(request.scope["headers"])
    from_browser = b"origin" in headers or b"sec-fetch-site" in headers or is_page_form(headers)
    return from_browser and origins_of(request).from_own_page(headers)


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


_LOCATION = {"Location": "Where the browser goes next."}
_PASS_HEADER = {"X-Waiting-Room-Pass": "The pass, in place of the ticket."}
_ROOM = {"room": ROOM_NAME_PATTERN}
_PROBLEMS = (401, 403, 404, 410, 503)

OPERATIONS = (
    Operation(
        "POST",
        "/rooms/{room}/enter",
        page_aware(enter),
        "Enter when it is your turn",
        "visitors",
        {
            200: Answer("The session and a pass for it; entering again gives the same session.", SessionAnswer),
            303: Answer("A page's form without scripts: on to `target`, or back to the page.", None, _LOCATION),
        },
        description="Decided in the store, whatever /status said. 409: you still wait. 410: your turn or visit is over.",
        query=EnterQuery,
        path_patterns=_ROOM,
        problems=(*_PROBLEMS, 400, 409),
        ticket=True,
    ),
    Operation(
        "POST",
        "/rooms/{room}/renew",
        renew,
        "Prolong the session",
        "visitors",
        {200: Answer("The session with its new end, and a pass until then.", SessionAnswer)},
        headers=_PASS_HEADER,
        path_patterns=_ROOM,
        problems=_PROBLEMS,
        ticket=True,
    ),
    Operation(
        "POST",
        "/rooms/{room}/leave",
        page_aware(leave),
        "Leave: the line, the turn or the session",
        "visitors",
        {
            204: Answer("The visit has ended; leaving twice is the same as once."),
            303: Answer("A page's form without scripts: back to the page.", None, _LOCATION),
        },
        headers=_PASS_HEADER,
        path_patterns=_ROOM,
        problems=(401, 403, 404, 503),
        ticket=True,
    ),
)
