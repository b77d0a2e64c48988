"""What the waiting page's template is given, and its scripts with it."""

from typing import Any

from starlette.requests import Request

from app.rooms.room import Room
from app.rooms.settings import RoomSettings
from app.web.addresses import Addresses
from app.web.languages import LANGUAGES, Language
from app.web.looks import look_addresses
from app.web.page_figures import figures
from app.web.page_state import PageState, progress, shows_progress
from app.web.page_target import Onward
from app.web.page_texts import FACTS, PROBLEMS, page_texts

MAX_REFRESH_S = 30
USUAL_REFUSAL = RoomSettings().reject_message


def page_view(
    request: Request, room: Room, state: PageState, speech: Language, first: int, onward: Onward
) -> dict[str, Any]:
    """One moment of the page.

    Args:
        first: how many were ahead when the place was first shown.
    """
    texts = page_texts(speech)
    words, text = texts["words"], texts["states"][state.key]
    place = state.place or {}
    problem = problem_of(request)
    at = Addresses.of(request)
    look = room.settings.look
    name = look.title or (words["waiting_room"] if room.name == "default" else room.name)
    style, logo = look_addresses(at, room)
    return {
        "room": room,
        "language": speech,
        "languages": LANGUAGES,
        "texts": texts,
        "words": words,
        "state": state,
        "text": text,
        "body_text": text["body"] or place.get("message", ""),
        "facts": FACTS,
        "figures": figures(text["facts"], place, state.serving or {}, speech, words),
        "refusal": _refusal(room) if state.key == "refused" else None,
        "percent": round(100 * progress(first, place["ahead"])) if shows_progress(text["facts"]) else None,
        "problem": None if problem is None else texts["problems"][problem],
        "onward": onward,
        "leads_to": onward.shown(request.headers.get("host", "")),
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
            "target": onward.address,
            "urls": {route: at.beside(route) for route in ("status", "join", "events", "serving")}
            | {verb: at.visit(verb, room) for verb in ("enter", "carry", "takeover")},
            "page": at.here,
            "icon": f"{at.static}/wait/icon.svg",
            "texts": texts,
        },
    }


def problem_of(request: Request) -> str | None:
    """The entry of the table for what went wrong when the visitor pressed a button, as the page's address says."""
    problem = request.query_params.get("problem")
    return problem if problem is None or problem in PROBLEMS else "other"


def _refusal(room: Room) -> str | None:
    """Why the operator lets nobody in, where the operator said so: the default says no more than the page itself."""
    said = room.settings.refusal
    return None if said == USUAL_REFUSAL else said
