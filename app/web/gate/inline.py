"""Letting newcomers straight in at the gate, while nobody waits and there is room.

Whoever opens a page is given a short, provisional session; the cookie that comes back with their next request makes
it a whole one. Who keeps no cookies (crawlers, previews, monitors) takes a slot for that short time only, and so few at
once that they keep nobody else out: there is a bound for the room on each replica, and one for each address.
"""

from collections import OrderedDict
from typing import NamedTuple

from app.clock import Clock
from app.errors import NotYourTurn, StanchionError, StoreUnavailable, TicketRefused
from app.rooms.room import Room
from app.rooms.settings import Method
from app.rooms.snapshot import Snapshot
from app.rooms.window import LIVE
from app.services.visits import Admission, Visits
from app.web.cookies import ticket_in_cookies
from app.web.gate.visitors import Headers

MOST_PER_ADDRESS = 5
"""Unconfirmed sessions of one address; an IPv6 /64 is one."""
MOST_UNCONFIRMED = 100
SHARE_UNCONFIRMED = 0.2
"""Of `maxActive`, where there is one: crawlers never hold more than so much of the room through one replica."""


class _Unconfirmed(NamedTuple):
    address: str
    until_s: float


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

    def begun(self, address: str, place: tuple[int, int] | None, hold_s: float) -> None:
        """What was asked for is there, at this place; or None, and counts no more."""
        self._asked -= 1
        if place is None:
            self._forget(address)
        else:
            self._by_place[place] = _Unconfirmed(address, self._clock.monotonic_s() + hold_s)

    def confirmed(self, place: tuple[int, int]) -> None:
        """The cookie came back: this one is no crawler."""
        known = self._by_place.pop(place, None)
        if known is not None:
            self._forget(known.address)

    def __len__(self) -> int:
        self._drop_ended()
        return len(self._by_place)

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
        self._unconfirmed = Unconfirmed(clock)
        self._full: Snapshot | None = None
        """The snapshot by which there seemed to be room when the store knew that there was none."""
        self.confirmed = self._unconfirmed.confirmed

    async def admit(self, headers: Headers, address: str) -> Admission | None:
        """Let somebody who opens a page straight in; None when they have to wait, or stand in line already.

        Nothing is raised: what goes wrong here leads to the waiting page, which says what it is.
        """
        room = self._room
        if not self._seems_free() or not self._unconfirmed.has_room(address, self._most()):
            return None
        if await self._stands_in_line(headers):
            return None
        snapshot, hold_s = room.snapshot, room.settings.gate.inline_seconds
        self._unconfirmed.begin(address)
        place = None
        try:
            admission = await self._visits.walk_in(room, hold_s)
            place = admission.session.epoch, admission.session.position
        except NotYourTurn:
            self._full = snapshot
            return None
        except StanchionError:
            return None
        finally:
            self._unconfirmed.begun(address, place, hold_s)
        return admission

    def _most(self) -> int:
        most_active = self._room.settings.max_active
        if most_active is None:
            return MOST_UNCONFIRMED
        return min(MOST_UNCONFIRMED, max(1, int(most_active * SHARE_UNCONFIRMED)))

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
