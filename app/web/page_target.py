"""Where the waiting page leads once it is the visitor's turn: where they wanted to go, if that is allowed.

The wish comes in the page's address and stays there, through joining, reloading and another language. A cookie keeps
it for other tabs and for those who open the bare page later. It is checked each time it is read, by `targets`.
"""

from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from starlette.requests import Request

from app.rooms.room import Room
from app.web.operations import services_of
from app.web.targets import checked_target

COOKIE = "stanchion-target-"
MAX_KEPT = 600
"""Characters, as the cookie holds them; a longer wish is kept by the page's address alone, since the cookie comes along with every poll."""
MAX_SHOWN = 60


class Onward(NamedTuple):
    """The way on from a waiting page."""

    wish: str | None
    """What the visitor asked for, where it is allowed."""
    address: str | None
    """Where the page leads: there, or to the room's site; None when nobody said."""
    cookie: str | None
    """What the page's cookie is to be, when it is not that yet."""

    @property
    def query(self) -> str:
        """The wish as the page's own addresses carry it: `target=…`, or nothing."""
        return "" if self.wish is None else "target=" + quote(self.wish, safe="")

    def shown(self, own_host: str) -> str | None:
        """The address as a visitor reads it: host and path, cut where it gets long."""
        if self.address is None:
            return None
        parts = urlsplit(self.address)
        text = (parts.netloc or own_host) + ("" if parts.path == "/" else parts.path)
        return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"

    @property
    def origin(self) -> str | None:
        """The other site that it leads to, for the page's security policy; None when it is our own."""
        parts = urlsplit(self.address or "")
        return f"{parts.scheme}://{parts.netloc}" if parts.netloc else None


def onward(request: Request, room: Room) -> Onward:
    """The way on for whoever asks for this room's page."""
    own_host = request.headers.get("host", "")
    asked = checked_target(request.query_params.get("target", ""), room.settings, own_host)
    kept = request.cookies.get(COOKIE + room.name, "")
    wish = asked or checked_target(unquote(kept), room.settings, own_host)
    cookie = quote(asked, safe="") if asked is not None else None
    if cookie is not None and (len(cookie) > MAX_KEPT or cookie == kept):
        cookie = None
    root_path = services_of(request).settings.root_path
    return Onward(wish, wish or site_of(room, root_path), cookie)


def site_of(room: Room, root_path: str) -> str | None:
    """Where the room's visitors go: where the operator says, or to the site that this is a part of; None: nobody knows."""
    return room.settings.gate.site_url or room.settings.look.enter_url or ("/" if root_path else None)
