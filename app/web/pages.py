"""The waiting page: what a browser sees of its place, at `/` and `/rooms/{room}`.

GET never joins; the page's button posts to `join`. Everything works without scripts; with them the page keeps
itself up to date. docs/waiting-page.md describes it for operators.
"""

import gzip
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import Response

from app.rooms.room import Room
from app.rooms.settings import RoomSettings
from app.services import Services
from app.web.addresses import Addresses
from app.web.cookies import ticket_cookie
from app.web.languages import LANGUAGES, Language, choose, language
from app.web.looks import look_addresses
from app.web.operations import Answer, Operation, services_of
from app.web.page_figures import figures
from app.web.page_state import PageState, page_state, progress, shows_progress
from app.web.page_texts import FACTS, PROBLEMS, page_texts
from app.web.proxies import Proxies

FOLDER = Path(__file__).parent
LANGUAGE_COOKIE = "stanchion-language"
FIRST_COOKIE = "stanchion-first-"
YEAR_S = 365 * 86_400
MAX_REFRESH_S = 30
USUAL_REFUSAL = RoomSettings().reject_message

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "cache-control": "no-store",
    "vary": "cookie, accept-language, accept-encoding",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
}


async def waiting_page(request: Request) -> Response:
    """The page of one room, for whoever the cookie says is asking."""
    services = services_of(request)
    speech = language(
        choose(
            request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE),
            request.headers.get("accept-language", ""),
        )
    )
    room = _room(services, request.path_params.get("room", "default"))
    if room is None:
        return _html(request, ("no_room.html",), 404, language=speech, words=page_texts(speech)["words"])
    state = await page_state(services, room, request.headers.get("cookie", "").encode("latin-1"))
    first = first_ahead(request, room, state)
    shown = _view(request, room, state, speech, first)
    response = _html(request, (f"wait-{room.name}.html", "wait.html"), 200, **shown)
    _remember(request, response, room, state, first)
    return response


def _view(request: Request, room: Room, state: PageState, speech: Language, first: int) -> dict[str, Any]:
    """What the template shows."""
    texts = page_texts(speech)
    place = state.place or {}
    problem = request.query_params.get("problem")
    text = texts["states"][state.key]
    at = Addresses.of(request)
    look = room.settings.look
    name = look.title or (texts["words"]["waiting_room"] if room.name == "default" else room.name)
    style, logo = look_addresses(at, room)
    return {
        "language": speech,
        "languages": LANGUAGES,
        "texts": texts,
        "words": texts["words"],
        "state": state,
        "text": text,
        "body_text": text["body"] or place.get("message", ""),
        "facts": FACTS,
        "figures": figures(text["facts"], place, state.serving or {}, speech, texts["words"]),
        "refusal": _refusal(room) if state.key == "refused" else None,
        "percent": round(100 * progress(first, place["ahead"])) if shows_progress(text["facts"]) else None,
        "problem": None if problem is None else texts["problems"][problem if problem in PROBLEMS else "other"],
        "room_name": name,
        "look": look,
        "style": style,
        "logo": logo,
        "refresh_s": min(state.refresh_s, MAX_REFRESH_S),
        "data": {
            "key": state.key,
            "room": name,
            "language": speech.tag,
            "place": state.place,
            "serving": state.serving,
            "first": first,
            "usualRefusal": USUAL_REFUSAL,
            "again": state.refresh_s,
            "urls": {route: at.beside(route) for route in ("status", "join", "events", "serving")}
            | {"enter": f"{at.root}rooms/{room.name}/enter"},
            "icon": f"{at.static}/wait/icon.svg",
            "texts": texts,
        },
    }


def _refusal(room: Room) -> str | None:
    """Why the operator lets nobody in, where the operator said so: the default says no more than the page itself."""
    said = room.settings.refusal
    return None if said == USUAL_REFUSAL else said


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


def _remember(request: Request, response: Response, room: Room, state: PageState, first: int) -> None:
    """The page's cookies: the language chosen, where the bar started, a renewed ticket."""
    services = services_of(request)
    headers = dict(request.scope["headers"])
    secure = Proxies(services.settings).is_https(request.scope, headers)
    chosen = request.query_params.get("lang")
    if chosen in LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, str(chosen), max_age=YEAR_S, secure=secure, httponly=True, samesite="lax")
    if state.place is not None:
        value = f"{state.place['epoch']}.{state.place['position']}.{first}"
        if request.cookies.get(FIRST_COOKIE + room.name) != value:
            age_s = services.settings.ticket_ttl
            response.set_cookie(
                FIRST_COOKIE + room.name, value, max_age=age_s, secure=secure, httponly=True, samesite="lax"
            )
    if state.renewed is not None:
        cookie = ticket_cookie(room.name_bytes, state.renewed.token, secure=secure, settings=services.settings)
        response.raw_headers.append((b"set-cookie", cookie))


def _room(services: Services, name: str) -> Room | None:
    return next((room for room in services.rooms.all() if room.name == name), None)


def _html(request: Request, names: Sequence[str], status: int, **values: Any) -> Response:
    template = templates(services_of(request).settings.template_dir).select_template(names)
    body = template.render(at=Addresses.of(request), **values).encode()
    headers = dict(SECURITY_HEADERS)
    if "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, compresslevel=5, mtime=0)
        headers["content-encoding"] = "gzip"
    return Response(body, status, headers=headers, media_type="text/html; charset=utf-8")


@cache
def templates(own: Path | None = None) -> Environment:
    """The pages' templates, those of the operator's `own` folder first; everything they are given is escaped."""
    folders = [folder for folder in (own, FOLDER / "templates") if folder is not None]
    environment = Environment(loader=FileSystemLoader(folders), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    environment.policies["json.dumps_function"] = json.dumps
    return environment


_PAGE = {200: Answer("The page.", "text/html"), 404: Answer("There is no such room.", "text/html")}

OPERATIONS = (
    Operation("GET", "/", waiting_page, "The default room's waiting page", "pages", _PAGE, hidden=True),
    Operation("GET", "/rooms/{room}", waiting_page, "A room's waiting page", "pages", _PAGE, hidden=True),
)
