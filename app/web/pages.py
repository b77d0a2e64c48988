"""The waiting page: what a browser sees of its place, at `/` and `/rooms/{room}`.

GET never joins; the page's button posts to `join`. Everything works without scripts; with them the page keeps
itself up to date. docs/waiting-page.md describes it for operators.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.rooms.room import Room
from app.web.addresses import Addresses
from app.web.carry_models import CarryOffer
from app.web.cookies import ticket_cookie
from app.web.languages import LANGUAGES, Language, choose, language
from app.web.operations import Answer, Operation, services_of
from app.web.page_html import Packed, accepts_zipped, as_answer, html, packed, page_headers, rendered
from app.web.page_state import PageState, page_state
from app.web.page_target import COOKIE as TARGET_COOKIE
from app.web.page_target import Onward, onward
from app.web.page_texts import page_texts
from app.web.page_view import page_view, problem_of
from app.web.proxies import is_https
from app.web.shared_pages import SharedPages

LANGUAGE_COOKIE = "stanchion-language"
FIRST_COOKIE = "stanchion-first-"
YEAR_S = 365 * 86_400


async def waiting_page(request: Request) -> Response:
    """The page of one room, for whoever the cookie says is asking."""
    services = services_of(request)
    room = services.rooms.find(request.path_params.get("room", "default"))
    if room is None:
        speech = _language(request)
        unknown = {"language": speech, "words": page_texts(speech)["words"]}
        return html(request, ("no_room.html",), 404, unknown)
    return await room_page(request, room)


async def room_page(request: Request, room: Room, offer: CarryOffer | None = None) -> Response:
    """The room's page, with the place on `offer` to another device, where that was just asked for."""
    services = services_of(request)
    state = await page_state(services, room, request.headers.get("cookie", "").encode("latin-1"))
    first, way, speech = first_ahead(request, room, state), onward(request, room), _language(request)
    zipped = accepts_zipped(request)

    def make() -> Packed:
        shown = page_view(request, room, state, speech, first, way) | {"offer": offer}
        return packed(rendered(request, (f"wait-{room.name}.html", "wait.html"), shown), zipped=zipped)

    if state.place is None and offer is None:
        pages: SharedPages = request.state.shared_pages
        host, problem = request.headers.get("host"), problem_of(request)
        about = (speech.tag, way.wish, way.address, Addresses.of(request), host, problem, zipped)
        page = pages.page(room, about, make)
    else:
        page = make()
    response = as_answer(page, 200, page_headers(way.origin))
    _remember(request, response, room, state, first, way)
    return response


def _language(request: Request) -> Language:
    chosen = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    return language(choose(chosen, request.headers.get("accept-language", "")))


def first_ahead(request: Request, room: Room, state: PageState) -> int:
    """How many were ahead when this place was first shown, from the page's own cookie: the start of the bar."""
    place = state.place
    if place is None:
        return 0
    parts = request.cookies.get(FIRST_COOKIE + room.name, "").split(".")
    if len(parts) == 3 and all(part.isascii() and part.isdigit() and len(part) < 17 for part in parts):
        epoch, position, ahead = map(int, parts)
        if (epoch, position) == (place["epoch"], place["position"]):
            return max(ahead, int(place["ahead"]))
    return int(place["ahead"])


def _remember(request: Request, response: Response, room: Room, state: PageState, first: int, way: Onward) -> None:
    """The page's cookies: the language chosen, where the bar started, where to go, a renewed ticket."""
    services, secure = services_of(request), is_https(request)
    kept_s = services.settings.ticket_ttl
    usual: dict[str, Any] = {"secure": secure, "httponly": True, "samesite": "lax"}
    chosen = request.query_params.get("lang")
    if chosen in LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, str(chosen), max_age=YEAR_S, **usual)
    if state.place is not None:
        value = f"{state.place['epoch']}.{state.place['position']}.{first}"
        if request.cookies.get(FIRST_COOKIE + room.name) != value:
            response.set_cookie(FIRST_COOKIE + room.name, value, max_age=kept_s, **usual)
    if way.cookie is not None:
        response.set_cookie(TARGET_COOKIE + room.name, way.cookie, max_age=kept_s, **usual)
    if state.renewed is not None:
        cookie = ticket_cookie(room.name_bytes, state.renewed.token, secure=secure, settings=services.settings)
        response.raw_headers.append((b"set-cookie", cookie))


_PAGE = {200: Answer("The page.", "text/html"), 404: Answer("There is no such room.", "text/html")}

OPERATIONS = (
    Operation("GET", "/", waiting_page, "The default room's waiting page", "pages", _PAGE, hidden=True),
    Operation("GET", "/rooms/{room}", waiting_page, "A room's waiting page", "pages", _PAGE, hidden=True),
)
