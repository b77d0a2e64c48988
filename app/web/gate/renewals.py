"""Prolonging the sessions of those who use the site: in the second half of a pass, and never in a request's way for long."""

from app.clock import Clock
from app.errors import StanchionError
from app.rooms.room import Room
from app.services.visits import Visitor, Visits
from app.tickets.passes import IssuedPass, Pass

TRY_EVERY_S = 10.0
"""A session is tried again after this, or after a quarter of its pass's time: a page's many requests are one use of the
site, and a store that is away is not asked again at once. Meanwhile the old pass goes on."""
MAX_REMEMBERED = 100_000


class Renewals:
    """The renewals that this replica has tried of late."""

    def __init__(self, visits: Visits, clock: Clock) -> None:
        self._visits = visits
        self._clock = clock
        self._tried_s: dict[tuple[str, int, int], float] = {}

    def is_due(self, known: Pass) -> bool:
        """Whether a pass that is in use now should be renewed."""
        return 2 * self._clock.unix_s() > known.issued_s + known.expires_s

    async def renewed(self, room: Room, known: Pass) -> IssuedPass | None:
        """The pass with a later end, written to the store before it was signed; None while the old one has to do.

        Nothing is raised: whatever keeps a session from being prolonged is no reason to stop its pass before its end.
        """
        now_s, key = self._clock.monotonic_s(), (room.name, known.epoch, known.position)
        every_s = min(TRY_EVERY_S, (known.expires_s - known.issued_s) / 4)
        if room.stale or now_s - self._tried_s.get(key, float("-inf")) < every_s:
            return None
        if len(self._tried_s) >= MAX_REMEMBERED:
            self._tried_s.clear()
        self._tried_s[key] = now_s
        try:
            _, issued = await self._visits.renew(room, Visitor(known.epoch, known.position))
        except StanchionError:
            return None
        return issued if issued.claims.expires_s > known.expires_s else None
