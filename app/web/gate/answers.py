"""What the proxy gets: 200 and an empty body to let a request through, or the refusal its visitor can read."""

from math import ceil
from random import uniform
from typing import NamedTuple

from app.errors import PassNeeded, StanchionError, StoreUnavailable
from app.rooms.room import Room
from app.web.gate.addresses import GateAddresses
from app.web.gate.original import Original
from app.web.gate.visitors import Headers, is_prefetch, opens_page
from app.web.origins import Origins
from app.web.problems import PROBLEM_TYPE, problem_body, status_of

NO_STORE = (b"cache-control", b"no-store")
WAIT = "wait"
LEAST_RETRY_S, MOST_RETRY_S = 5.0, 300.0
UNTOLD_RETRY_S = 30.0
"""While the line stands still and nobody can tell for how long."""
AWAY_RETRY_S = 5


_WHY = {why: (b"x-waiting-room", why.encode()) for why in ("pass", "inline", "bypass", "open")}


class Answer(NamedTuple):
    """What one request gets."""

    verdict: str
    """`pass`, `inline`, `bypass` or `open` when it goes on, `wait` when it does not."""
    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]]


def let_through(why: str, session: bytes = b"", cookie: bytes = b"") -> Answer:
    """The request may go on: because of a `pass`, `inline`, a `bypass`, or because the gate is `open`."""
    own = [NO_STORE, _WHY[why]]
    if session:
        own.append((b"x-waiting-room-session", session))
    if cookie:
        own.append((b"set-cookie", cookie))
    return Answer(why, 200, b"", own)


def let_through_to(address: str, session: bytes, cookie: bytes) -> Answer:
    """The visitor has a pass from now on, and asks again without what brought it."""
    own = [NO_STORE, (b"location", address.encode("latin-1")), (b"x-waiting-room-session", session)]
    return Answer("pass", 302, b"", [*own, (b"set-cookie", cookie)])


def to_ask_again(address: str, cookie: bytes) -> Answer:
    """The visitor is not let through yet, but asks again with a cookie to be known by."""
    return Answer(WAIT, 302, b"", [NO_STORE, (b"location", address.encode("latin-1")), (b"set-cookie", cookie)])


class Refusals:
    """How one room turns away those who have to wait, as its settings are."""

    def __init__(self, room: Room, addresses: GateAddresses, origins: Origins) -> None:
        self._room = room
        self._addresses = addresses
        self._origins = origins

    def answer(self, original: Original, headers: Headers, *, lost: bool, by_status: bool) -> Answer:
        """Send a browser to the page, and tell a program how to get a place.

        Args:
            lost: whether the visitor is only held because nothing is known of the room.
            by_status: for proxies that cannot hand a redirect on: 401 whatever it is, the address in a header.
        """
        retry_after_s = AWAY_RETRY_S if lost else self._retry_after_s()
        page = self._addresses.page(original).encode("latin-1")
        if by_status:
            where = [(b"x-waiting-room-location", page), (b"retry-after", b"%d" % retry_after_s)]
            return Answer(WAIT, 401, b"", [NO_STORE, *where])
        if opens_page(original.method, headers):
            # 303 after a POST: its address is opened anew, not posted to.
            status = 303 if original.method == "POST" else 302
            return Answer(WAIT, status, b"", [NO_STORE, (b"location", page)])
        error = self._error(lost=lost, prefetch=is_prefetch(headers))
        status = status_of(error)
        own = [NO_STORE, (b"content-type", PROBLEM_TYPE.encode()), (b"retry-after", b"%d" % retry_after_s)]
        own += self._origins.cors_headers(headers)
        extra = self._addresses.for_programs | {"pageUrl": page.decode("latin-1")}
        body = problem_body(status, error.title, error.message, kind=error.kind, extra=extra)
        return Answer(WAIT, status, body, own)

    def _error(self, *, lost: bool, prefetch: bool) -> StanchionError:
        if lost:
            return StoreUnavailable(
                "Newcomers are held for a moment: the store cannot be reached right now; try again shortly."
            )
        if prefetch:
            return PassNeeded("This site has a waiting room; it is not fetched ahead of its visitor.")
        return PassNeeded(
            "This site has a waiting room: POST to joinUrl for a ticket, ask statusUrl with it until it is your turn, "
            "POST to enterUrl for a pass, and send that as `X-Waiting-Room-Pass`."
        )

    def _retry_after_s(self) -> int:
        """When whoever joins now may have their turn: told to programs, which may try again by themselves. Spread a little."""
        wait = self._room.wait_of_newcomer()
        wait_s = wait.expected_ms / 1000 if wait is not None else UNTOLD_RETRY_S
        return ceil(min(MOST_RETRY_S, max(LEAST_RETRY_S, wait_s)) * uniform(1, 1.2))
