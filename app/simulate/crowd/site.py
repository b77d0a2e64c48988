"""The site behind the gate, as a browser asks for it, and what the gate's answers mean.

It is asked like any address of a site. Whatever answers 2xx there has let the visitor through; a redirect, a 401 or
a 429 is the gate's, which holds them.
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from app.errors import InvalidInput
from app.simulate.crowd.connections import Answer, Connections
from app.simulate.crowd.record import HELD

OPENING = b"Accept: text/html\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\n"
"""What a browser adds when somebody opens a page."""
FETCHING = b"Accept: */*\r\nSec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n"
"""What it adds when a page's script fetches something."""
HOLDING = frozenset({302, 303, 401, 429})


class Site(NamedTuple):
    """One address of the site."""

    pool: Connections
    path: bytes
    """With the query."""

    def path_to(self, location: bytes) -> bytes | None:
        """The path of the page that the gate leads to, when it is on this host: a cookie of another one would not come back."""
        parts = urlsplit(location.decode("latin-1"))
        if not location or (parts.netloc and f"{parts.scheme}://{parts.netloc}" != self.pool.origin):
            return None
        return (parts.path + (f"?{parts.query}" if parts.query else "")).encode("latin-1")


def site_at(url: str, connections: int) -> Site:
    """The site's address, with at most so many connections.

    Raises:
        InvalidInput: it is no address of a page.
    """
    address, question, query = url.partition("?")
    pool = Connections(address, connections)
    path = urlsplit(address).path or "/"
    try:
        return Site(Connections(pool.origin, connections), (path + question + query).encode("ascii"))
    except UnicodeEncodeError:
        raise InvalidInput(f"The URL {url!r} cannot be used: write what is not ASCII as %….") from None


def judged(answer: Answer, room: str) -> dict[str, Any]:
    """What the gate's answer says, as members of an event.

    A pass that comes along names the place: of somebody let straight in, or of one whose session was prolonged.

    Raises:
        ValueError, KeyError, TypeError: there is a pass that cannot be read.
    """
    if answer.status in HOLDING:
        return {"status": HELD}
    if not 200 <= answer.status < 300:
        return {}
    token = _pass_in(answer.cookies, room)
    if not token:
        return {"status": answer.headers.get(b"x-waiting-room", b"through").decode("latin-1")}
    payload = token.split(b".")[1] if token.count(b".") == 2 else b""
    claims = json.loads(urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    left_s = float(claims["exp"] - claims["iat"])
    return {"status": "entered", "epoch": int(claims["epoch"]), "position": int(claims["pos"]), "left_s": left_s}


def _pass_in(cookies: Iterable[bytes], room: str) -> bytes:
    named = (cookie.partition(b"=") for cookie in cookies)
    return next((value for name, _, value in named if name.endswith(b"stanchion-pass-" + room.encode())), b"")
