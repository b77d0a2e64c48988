"""Where a visitor may be sent on to: an open redirect is impossible, because only what is plainly allowed is taken.

Browsers are forgiving readers of addresses: `\\` is `/` to them, tabs and line breaks are nothing, `//host` is another
site, and `https://shop.example@evil.example` is evil.example. So nothing here tries to understand an address that is
not written plainly: it must match the one pattern below, in characters that every reader reads alike, and its host must
be named by the room's `gate.hosts` to the letter. Everything else is no target, and the room's `siteUrl` stands in.
"""

import re
from typing import Final

from app.rooms.gate import RoomGate
from app.rooms.settings import RoomSettings

MAX_TARGET: Final = 2000
"""Characters; more than browsers and proxies reliably carry in a query anyway."""

_REST = r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%|^{}]*"
_PATH = re.compile(rf"/(?!/){_REST}")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ABSOLUTE = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])"
    rf"(?::(?P<port>[1-9][0-9]{{0,4}}))?(?P<rest>(?:[/?#]{_REST})?)",
    re.IGNORECASE,
)
_DOTS = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_USUAL_PORTS = {"http": "80", "https": "443"}


def checked_target(wanted: str, room_settings: RoomSettings, own_host: str) -> str | None:
    """The address to send a visitor on to, or None when it is not one of the room's.

    Args:
        wanted: what the query said, decoded once.
        own_host: host and port that the visitor asked the waiting page of, as in the `Host` header.

    Returns:
        A path with its query on the page's own host, or an absolute `http(s)` address on the own host or on one of
        `gate.hosts`, its scheme and host in small letters. None: the caller uses `default_target`.
    """
    if not 0 < len(wanted) <= MAX_TARGET:
        return None
    if _PATH.fullmatch(wanted):
        return wanted if _plain_segments(wanted) else None
    match = _ABSOLUTE.fullmatch(wanted)
    if match is None:
        return None
    scheme, port, rest = match["scheme"].lower(), match["port"], match["rest"]
    host = match["host"].lower()
    if port is not None and port != _USUAL_PORTS[scheme]:
        host += ":" + port
    if not (host == _without_usual_port(own_host, scheme) or is_allowed_host(host, room_settings.gate)):
        return None
    return f"{scheme}://{host}{rest}" if _plain_segments(rest) else None


def default_target(room_settings: RoomSettings) -> str:
    """Where a visitor goes who wanted nothing in particular, or nothing allowed; set by the operator."""
    return room_settings.gate.site_url or room_settings.look.enter_url or "/"


def is_allowed_host(host: str, gate: RoomGate) -> bool:
    """Whether the room's gate may send visitors to this host, in small letters, with its port if that is unusual."""
    return host in gate.exact_hosts or host.endswith(gate.host_suffixes)


def _plain_segments(rest: str) -> bool:
    """Whether the path has no `.` or `..` to step with; a browser has removed them before it asks."""
    return _DOTS.search(re.split(r"[?#]", rest, maxsplit=1)[0]) is None


def _without_usual_port(own_host: str, scheme: str) -> str:
    return own_host.lower().removesuffix(":" + _USUAL_PORTS[scheme])
