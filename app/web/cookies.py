"""The ticket cookie: one per room, out of reach of scripts."""

from app.settings import Settings

_PREFIX = b"stanchion-ticket-"


def ticket_in_cookies(header: bytes, room: bytes) -> bytes | None:
    """The room's ticket in a `Cookie` header."""
    wanted = _PREFIX + room + b"="
    for item in header.split(b";"):
        item = item.strip()
        if item.startswith(wanted):
            return item[len(wanted) :]
    return None


def ticket_cookie(room: bytes, token: bytes, *, secure: bool, settings: Settings) -> bytes:
    """The `Set-Cookie` value that carries a ticket."""
    attributes = b"; Path=/; HttpOnly; SameSite=Lax; Max-Age=%d" % settings.ticket_ttl
    return _PREFIX + room + b"=" + token + attributes + (b"; Secure" if secure else b"")
