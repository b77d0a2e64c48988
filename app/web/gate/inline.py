"""Letting newcomers straight in at the gate, while nobody waits and there is room.

Whoever opens a page is given a short, provisional session; the cookie that comes back with their next request makes
it a whole one. Who keeps no cookies (crawlers, previews, monitors) takes a slot for that short time only, and so few at
once that they keep nobody else out: there is a bound for the room on each replica, and one for each address. Cookies
come back to whichever replica; so where a bound is met, the store is asked, once a second at most, who has.
"""

from collections import OrderedDict
from typing import NamedTuple

from app.clock import Clock
from app.errors import NotYourTurn, StanchionError, StoreUnavailable, TicketRefused
from app.rooms.room import Room
from app.rooms.sessions import Session
from app.rooms.settings import Method
from app.rooms.snapshot import Snapshot
from app.rooms.window import LIVE
from app.services.visits import Admission, Visits
from app.web.cookies import ticket_in_cookies
from app.web.gate.visitors import Headers

MOST_PER_ADDRESS = 5
"""Unconfirmed sessions of one address; an IPv6 /64 is one."""
MOST_UNCONFIRMED = 1000
"""Where there is no `maxActive`, and so no slot to be taken from anybody."""
SHARE_UNCONFIRMED = 0.2
"""Of `maxActive`: crawlers never hold more than so much of the room through one replica."""
ASK_EVERY_S = 1.0


class _Unconfirmed(NamedTuple):
    address: str
    until_s: float
    ends_ms: int
    """By the store, unless somebody has confirmed it."""


class Unconfirmed:
    """The provisional sessions of one room that this replica has begun and not seen again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_place: OrderedDict[tuple[int, int], _Unconfirmed] = OrderedDict()
        self._by_address: dict[str, int] = {}
        self._asked = 0

    def has_room(self, address: str, most: int) -> bool:
        """Whether one more may be begun for this address."""
        self._drop_ended()
        held = len(self._by_place) + self._asked
        return held < most and self._by_address.get(address, 0) < MOST_PER_ADDRESS

    def begin(self, address: str) -> None:
        """One is asked for; it counts from now on."""
        self._asked += 1
        self._by_address[address] = self._by_address.get(address, 0) + 1

    def begun(self, address: str, session: Session | None, hold_s: float) -> None:
        """What was asked for is there; or None, and counts no more."""
        self._asked -= 1
        if session is None:
            self._forget(address)
        else:
            place = session.epoch, session.position
            self._by_place[place] = _Unconfirmed(address, self._clock.monotonic_s() + hold_s, session.ends_ms)

    def places(self) -> list[tuple[int, int]]:
        """Where those are that have not come back here, by epoch and position."""
        return list(self._by_place)

    def has_changed(self, place: tuple[int, int], ends_ms: int | None) -> bool:
        """Whether a session that the store knows to end then is over, or was confirmed somewhere."""
        known = self._by_place.get(place)
        return known is not None and (ends_ms is None or ends_ms > known.ends_ms)

    def confirmed(self, place: tuple[int, int]) -> None:
        """The cookie came back: this one is no crawler."""
        known = self._by_place.pop(place, None)
        if known is not None:
            self._forget(known.address)

    def _drop_ended(self) -> None:
        now_s = self._clock.monotonic_s()
        while self._by_place:
            place, known = next(iter(self._by_place.items()))
            if known.until_s > now_s:
                return
            self.confirmed(place)

    def _forget(self, address: str) -> None:
        left = self._by_address[address] - 1
        if left:
            self._by_address[address] = left
        else:
            del self._by_address[address]


class Inline:
    """The inline admission of one room."""

    def __init__(self, room: Room, visits: Visits, clock: Clock) -> None:
        self._room = room
        self._visits = visits
        self._clock = clock
        self._unconfirmed = Unconfirmed(clock)
        self._asked_s = float("-inf")
        self._full: Snapshot | None = None
        """The snapshot by which there seemed to be room when the store knew that there was none."""
        self.confirmed = self._unconfirmed.confirmed

    async def admit(self, headers: Headers, address: str) -> Admission | None:
        """Let somebody who opens a page straight in; None when they have to wait, or stand in line already.

        Nothing is raised: what goes wrong here leads to the waiting page, which says what it is.
        """
        room = self._room
        if not self._seems_free() or await self._stands_in_line(headers):
            return None
        if not self._unconfirmed.has_room(address, self._most()):
            await self._ask_who_came_back()
            if not self._unconfirmed.has_room(address, self._most()):
                return None
        snapshot, settings = room.snapshot, room.settings
        hold_s = min(settings.gate.inline_seconds, settings.session_seconds)
        self._unconfirmed.begin(address)
        session = None
        try:
            admission = await self._visits.walk_in(room, hold_s)
            session = admission.session
        except NotYourTurn:
            self._full = snapshot
            return None
        except StanchionError:
            return None
        finally:
            self._unconfirmed.begun(address, session, hold_s)
        return admission

    def _most(self) -> int:
        most_active = self._room.settings.max_active
        if most_active is None:
            return MOST_UNCONFIRMED
        return max(1, int(most_active * SHARE_UNCONFIRMED))

    async def _ask_who_came_back(self) -> None:
        """Forget those that other replicas have confirmed, and those of an earlier line."""
        now_s, places = self._clock.monotonic_s(), self._unconfirmed.places()
        if now_s - self._asked_s < ASK_EVERY_S or not places:
            return
        self._asked_s = now_s
        try:
            ends_ms = await self._room.sessions.ends_ms([position for _, position in places])
        except StoreUnavailable:
            return
        epoch = self._room.snapshot.epoch if self._room.snapshot else 0
        for place, end_ms in zip(places, ends_ms, strict=True):
            if place[0] < epoch or self._unconfirmed.has_changed(place, end_ms):
                self._unconfirmed.confirmed(place)

    def _seems_free(self) -> bool:
        """Whether, by the last look, nobody waits and there is room; the store decides."""
        room, seen = self._room, self._room.snapshot
        settings = room.settings
        if seen is None or seen is self._full or room.stale or room.asks_joiners or settings.method is Method.REJECT:
            return False
        if seen.paused or seen.closed or seen.healing or not seen.opened or seen.waiting:
            return False
        if not seen.counted:
            return seen.edge > seen.last
        return settings.max_active is None or seen.turns + seen.sessions < settings.max_active

    async def _stands_in_line(self, headers: Headers) -> bool:
        """Whether the browser holds a place here already, which its page will take up: nobody needs two."""
        token = ticket_in_cookies(headers.get(b"cookie", b""), self._room.name_bytes)
        if token is None:
            return False
        try:
            ticket = await self._visits.tickets.verify(token)
        except (TicketRefused, StoreUnavailable):
            return False
        return ticket.room == self._room.name and self._visits.stand(self._room, ticket).status in LIVE
