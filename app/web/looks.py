"""A room's look, served from our own host: its colours as a style sheet, its logo as a picture."""

from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from app.errors import NotFound
from app.rooms.look import DARK_CARD, RoomLook
from app.rooms.room import Room
from app.web.addresses import Addresses
from app.web.operations import Answer, Operation, services_of

_HEADERS = {
    "cache-control": "public, max-age=31536000, immutable",
    "content-security-policy": "default-src 'none'; sandbox",
}
"""The addresses carry a digest of the look, so that what they give never changes."""


def look_addresses(at: Addresses, room: Room) -> tuple[str | None, str | None]:
    """Where the page finds the room's colours and its logo, if it has any."""
    look = room.settings.look
    folder = f"{at.root}rooms/{room.name}"
    digest = sha256(look.model_dump_json().encode()).hexdigest()[:12]
    style = f"{folder}/look.css?v={digest}" if look.accent or look.accent_dark else None
    return style, f"{folder}/logo?v={digest}" if look.logo else None


def style_sheet(look: RoomLook) -> str:
    """The colours as custom properties; the values were checked when they were set."""
    sheet = ""
    if look.accent:
        sheet += f"@media(prefers-color-scheme:light){{:root{{--accent:{look.accent};--focus:{look.accent}}}}}\n"
    if look.accent_dark:
        dark = f"--accent:{look.accent_dark};--focus:{look.accent_dark};--on-accent:{DARK_CARD}"
        sheet += f"@media(prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
    return sheet


async def look_css(request: Request) -> Response:
    """The room's colours."""
    room = services_of(request).rooms.get(request.path_params["room"])
    return Response(style_sheet(room.settings.look), media_type="text/css", headers=_HEADERS)


async def logo(request: Request) -> Response:
    """The room's logo."""
    room = services_of(request).rooms.get(request.path_params["room"])
    picture = room.settings.look.picture
    if picture is None:
        raise NotFound("This room has no logo.")
    return Response(picture[1], media_type=picture[0], headers=_HEADERS)


OPERATIONS = (
    Operation(
        "GET", "/rooms/{room}/look.css", look_css, "A room's colours", "pages", {200: Answer("Them.")}, hidden=True
    ),
    Operation("GET", "/rooms/{room}/logo", logo, "A room's logo", "pages", {200: Answer("It.")}, hidden=True),
)
