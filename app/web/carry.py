"""Taking a place to another device: a link with a one-time code, the code as a picture, and what brings it back.

The code is in the link's fragment, which browsers keep to themselves: it is in no log, no `Referer`, and nothing that
only opens the link uses it up. The other device's page reads it and posts it.
"""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from app.errors import InvalidInput, StanchionError, TicketRefused
from app.rooms.offers import Offer
from app.rooms.room import Room
from app.services import Services
from app.services.visits import Visitor
from app.settings import ROOM_NAME_PATTERN
from app.tickets.tickets import IssuedTicket, Ticket
from app.web.access import bearer_token
from app.web.bodies import NO_STORE, answer, idempotency_key, read_body, validate
from app.web.carry_models import CarryOffer, CarryQuery, OfferLook, QrPicture, TakenOver, Takeover
from app.web.cookies import ticket_cookie, ticket_in_cookies
from app.web.operations import Answer, Operation, services_of
from app.web.origins import origins_of
from app.web.page_forms import back_to_page, is_page_form, posted_by_page
from app.web.page_target import onward
from app.web.pages import room_page
from app.web.places import render_place
from app.web.proxies import is_https, proxies_of
from app.web.qr import qr_code
from app.web.sessions import page_aware, ticket_for
from app.web.targets import checked_target

MAX_FORM_BYTES = 2000
MAX_HOST = 300


async def offer(request: Request) -> Response:
    """Offer the visitor's place to another device."""
    room, ticket = await ticket_holder(request)
    page, target = _page_address(request, room), onward(request, room).wish
    made = await services_of(request).carrying.offer(room, ticket, target)
    shown = _shown(page, made)
    if posted_by_page(request):
        return await room_page(request, room, offer=shown)
    return answer(shown, 201)


async def look(request: Request) -> Response:
    """Whether an offer has been taken."""
    room, _ = await ticket_holder(request)
    state, left_s = await services_of(request).carrying.look(room, request.path_params["id"])
    return answer(OfferLook(state=state.value, expires_in_seconds=left_s))


async def take_over(request: Request) -> Response:
    """Take the place over that a code stands for."""
    services = services_of(request)
    headers = dict(request.scope["headers"])
    room = services.rooms.get(request.path_params["room"])
    from_browser = b"origin" in headers or b"sec-fetch-site" in headers
    if from_browser:
        origins_of(request).check_change(headers)
    code = await _code(request)
    address = proxies_of(request).address(request.scope)
    issued, target = await services.carrying.take(room, code, address, idempotency_key(headers))
    await _give_up_own(request, services, room, issued.ticket)
    target = checked_target(target or "", room.settings, request.headers.get("host", ""))
    response = (
        back_to_page(request, target=target) if posted_by_page(request) else _taken(services, room, issued, target)
    )
    if (from_browser or is_page_form(headers)) and origins_of(request).from_own_page(headers):
        cookie = ticket_cookie(room.name_bytes, issued.token, secure=is_https(request), settings=services.settings)
        response.headers.append("set-cookie", cookie.decode("latin-1"))
    return response


async def ticket_holder(request: Request) -> tuple[Room, Ticket]:
    """The room of the path and the ticket that came along, by bearer or cookie.

    Raises:
        NotFound: there is no such room.
        Forbidden: a page of another site asks for a change.
        TicketRefused: there is no ticket, or it does not hold, or is another room's.
    """
    services = services_of(request)
    room = services.rooms.get(request.path_params["room"])
    given = bearer_token(request.headers.get("authorization", ""))
    token = given.encode("latin-1") if given is not None else None
    if token is None:
        headers = dict(request.scope["headers"])
        if request.method != "GET":
            origins_of(request).check_change(headers)
        token = ticket_in_cookies(headers.get(b"cookie", b""), room.name_bytes)
    if not token:
        raise TicketRefused("Send the ticket as `Authorization: Bearer …`; POST /join gives one.", reason="missing")
    return room, await ticket_for(services, room, token)


def _page_address(request: Request, room: Room) -> str:
    """The room's page, as the visitor reached it.

    Raises:
        InvalidInput: by a name that would fit into no picture.
    """
    host = request.headers.get("host", "localhost")
    if len(host) > MAX_HOST:
        raise InvalidInput(f"No host's name has more than {MAX_HOST} characters.")
    root_path = services_of(request).settings.root_path
    return f"{'https' if is_https(request) else 'http'}://{host}{root_path}/rooms/{room.name}"


def _shown(page: str, made: Offer) -> CarryOffer:
    link = f"{page}#place={made.code}"
    ttl_s = made.ttl_ms / 1000
    return CarryOffer(
        offer_id=made.offer_id,
        code=made.code,
        link=link,
        qr=QrPicture(**qr_code(link)._asdict()),
        expires_at=datetime.now(UTC) + timedelta(seconds=ttl_s),
        expires_in_seconds=ttl_s,
    )


async def _code(request: Request) -> str:
    """The code in a JSON body or a page's form."""
    if not posted_by_page(request):
        return (await read_body(request, Takeover)).code
    raw = await request.body()
    if len(raw) > MAX_FORM_BYTES:
        raise InvalidInput("A form with a code is shorter.")
    fields = parse_qs(raw.decode("latin-1"))
    return validate(Takeover, {"code": fields.get("code", [""])[0]}).code


async def _give_up_own(request: Request, services: Services, room: Room, taken: Ticket) -> None:
    """A place that this device had before is nobody's now: the next in line has it."""
    token = ticket_in_cookies(dict(request.scope["headers"]).get(b"cookie", b""), room.name_bytes)
    if token is None:
        return
    try:
        own = await services.visits.tickets.verify(token)
        if own.room == room.name and (own.epoch, own.position) != (taken.epoch, taken.position):
            await services.visits.leave(room, Visitor(own.epoch, own.position))
    except StanchionError:
        return  # it does not hold any more, or cannot be given up now: the taking over stands either way


def _taken(services: Services, room: Room, issued: IssuedTicket, target: str | None) -> Response:
    stand = services.visits.stand(room, issued.ticket)
    body, _ = render_place(room, issued.ticket, stand, services.settings.poll_ceiling, issued.token)
    content = {"place": json.loads(body), "target": target}
    return Response(json.dumps(content), headers=NO_STORE, media_type="application/json")


_LOCATION = {"Location": "Where the browser goes next."}
_ROOM = {"room": ROOM_NAME_PATTERN}

OPERATIONS = (
    Operation(
        "POST",
        "/rooms/{room}/carry",
        page_aware(offer),
        "Offer the place to another device",
        "visitors",
        {
            200: Answer("A page's form without scripts: the page, with the link.", "text/html"),
            201: Answer("The code, the link and its picture; they work once, for minutes.", CarryOffer),
            303: Answer(
                "A page's form without scripts: back to the page, which says what went wrong.", None, _LOCATION
            ),
        },
        description="409: the visitor is inside already. 410: there is no place any more. 429: five codes an hour.",
        query=CarryQuery,
        path_patterns=_ROOM,
        problems=(400, 401, 403, 404, 409, 410, 429, 503),
        ticket=True,
    ),
    Operation(
        "GET",
        "/rooms/{room}/carry/{id}",
        look,
        "Look whether an offer has been taken",
        "visitors",
        {200: Answer("What has become of it.", OfferLook)},
        path_patterns={**_ROOM, "id": "^[0-9a-f]{32}$"},
        problems=(401, 404, 503),
        ticket=True,
    ),
    Operation(
        "POST",
        "/rooms/{room}/takeover",
        page_aware(take_over),
        "Take over the place of another device",
        "visitors",
        {
            200: Answer("The same place, with the same ticket.", TakenOver),
            303: Answer("A page's form without scripts: back to the page.", None, _LOCATION),
        },
        description="A place that the caller's cookie held before is given up. 410: the code does not hold.",
        headers={"Idempotency-Key": "Up to 200 characters: the same key may take the same code again."},
        body=Takeover,
        path_patterns=_ROOM,
        problems=(400, 403, 404, 410, 429, 503),
    ),
)
