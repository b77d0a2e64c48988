"""How tickets and passes travel besides `Authorization`: in cookies out of reach of scripts, the pass also in a header."""

from app.settings import Settings

CARRIER = b"x-waiting-room-pass"
"""The header in which programs send a pass: the site keeps `Authorization` for itself."""

MOST_OF_A_NAME = 4
"""Cookies of one name that are looked at; whoever can set cookies for a sibling host may have added some."""

_TICKET = b"stanchion-ticket-"
_PASS = b"stanchion-pass-"
_VIP = b"stanchion-vip-"
_TAKER = b"stanchion-taker-"
_HOST_ONLY = b"__Host-"
"""Browsers take a cookie of such a name only from the very host, over TLS: no sibling host can slip one in."""


def ticket_in_cookies(header: bytes, room: bytes) -> bytes | None:
    """The room's ticket in a `Cookie` header."""
    return _value_of(_TICKET + room, header)


def ticket_cookie(room: bytes, token: bytes, *, secure: bool, settings: Settings) -> bytes:
    """The `Set-Cookie` value that carries a ticket."""
    return _set(_TICKET + room, token, settings.ticket_ttl, secure)


def pass_in_cookies(header: bytes, room: bytes, *, secure: bool) -> bytes | None:
    """The room's pass in a `Cookie` header; over TLS only the cookie that the host itself must have set counts."""
    return _value_of(_pass_name(room, secure), header)


def passes_in_cookies(header: bytes, room: bytes, *, secure: bool) -> list[bytes]:
    """Cookies that could be the room's pass: without TLS a sibling host may have put some beside ours."""
    return _values_of(_pass_name(room, secure), header)[:MOST_OF_A_NAME]


def vips_in_cookies(header: bytes, room: bytes, *, secure: bool) -> list[bytes]:
    """Every cookie that could be what the visitor keeps of a VIP code."""
    return _values_of(_own_name(_VIP, room, secure), header)


def vip_cookie(room: bytes, token: bytes, *, secure: bool, max_age_s: int) -> bytes:
    """The `Set-Cookie` value that carries what a visitor keeps of a VIP code."""
    return _set(_own_name(_VIP, room, secure), token, max_age_s, secure)


def taker_in_cookies(header: bytes, room: bytes, *, secure: bool) -> bytes | None:
    """What a browser was given to be known by when it asks again."""
    return _value_of(_own_name(_TAKER, room, secure), header)


def taker_cookie(room: bytes, taker: bytes, *, secure: bool, max_age_s: int) -> bytes:
    """The `Set-Cookie` value that a browser is known by when it asks again."""
    return _set(_own_name(_TAKER, room, secure), taker, max_age_s, secure)


def pass_cookie(room: bytes, token: bytes, *, secure: bool, max_age_s: int) -> bytes:
    """The `Set-Cookie` value that carries a pass; an age of 0 takes it away."""
    return _set(_pass_name(room, secure), token, max_age_s, secure)


def _pass_name(room: bytes, secure: bool) -> bytes:
    return _own_name(_PASS, room, secure)


def _own_name(kind: bytes, room: bytes, secure: bool) -> bytes:
    return (_HOST_ONLY if secure else b"") + kind + room


def _value_of(name: bytes, header: bytes) -> bytes | None:
    return next(iter(_values_of(name, header)), None)


def _values_of(name: bytes, header: bytes) -> list[bytes]:
    start = name + b"="
    return [item[len(start) :] for item in map(bytes.strip, header.split(b";")) if item.startswith(start)]


def _set(name: bytes, value: bytes, max_age_s: int, secure: bool) -> bytes:
    attributes = b"; Path=/; HttpOnly; SameSite=Lax; Max-Age=%d" % max_age_s
    return name + b"=" + value + attributes + (b"; Secure" if secure else b"")
