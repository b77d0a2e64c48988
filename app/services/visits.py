"""A visitor's way: a place taken in a room, carried in a ticket; a turn taken up as a session; and leaving."""

from collections.abc import Awaitable, Callable
from math import ceil
from typing import NamedTuple

from app.clock import Clock
from app.errors import NotYourTurn, TurnedAway
from app.rooms.gatherer import NOBODY, Guest
from app.rooms.room import Room
from app.rooms.sessions import Session
from app.rooms.window import LIVE, Standing, Status
from app.tickets.ids import TicketIds
from app.tickets.passes import IssuedPass, Passes
from app.tickets.tickets import IssuedTicket, Ticket, Tickets

NOT_SEEN_YET = Standing(Status.WAITING, 0, 0)


class Visitor(NamedTuple):
    """Whose visit it is, as a ticket or a pass says."""

    epoch: int
    position: int
    active_until_run_ms: int = 0
    """As in `Ticket`."""


class Admission(NamedTuple):
    """A session, and the pass that proves it."""

    session: Session
    issued: IssuedPass


class Visits:
    """Joining, standing, entering and leaving, over rooms, tickets and passes."""

    def __init__(self, tickets: Tickets, passes: Passes, clock: Clock) -> None:
        self.tickets = tickets
        self.passes = passes
        self._clock = clock
        self._ids = TicketIds()

    async def join(
        self,
        room: Room,
        live: Ticket | None,
        idempotency_key: str | None,
        guest: Callable[[], Awaitable[Guest]] | None = None,
    ) -> IssuedTicket | None:
        """A ticket for a new place; None when `live` still holds one here, which then is the visitor's.

        Args:
            guest: finds out what the room asks of a joiner, where it asks anything.

        Raises:
            JoinsHeld, RoomClosed, RoomFull, TurnedAway, TooManyJoins, StoreUnavailable: as `Room.join` and
                `Tickets.issue`.
            IdentityRefused: as `Guests.of`.
            VisitBarred: the visit of `live`, or of the same person, was revoked.
        """
        if live is not None and live.room == room.name:
            if self.stand(room, live).status in LIVE:
                return None
            now_ms = round(self._clock.unix_s() * 1000)
            await room.bars.check(live.epoch, live.position, now_ms)
        try:
            asked = NOBODY if guest is None else await guest()
            place = await room.join(self._ids.next(), idempotency_key, asked)
        except TurnedAway:
            chosen = room.settings
            raise TurnedAway(chosen.reject_message, chosen_status=chosen.reject_status) from None
        return self.tickets.issue(
            room=room.name,
            epoch=place.epoch,
            position=place.position,
            active_until_run_ms=place.active_until_run_ms,
            issued_s=place.joined_ms // 1000,
            ticket_id=place.ticket_id,
        )

    def stand(self, room: Room, ticket: Ticket) -> Standing:
        """Where a ticket of this room stands by the last snapshot."""
        room.note_seen(ticket.epoch, ticket.position)
        if room.snapshot is None:
            return NOT_SEEN_YET
        return room.stand(room.snapshot, ticket.epoch, ticket.position, ticket.active_until_run_ms)

    async def enter(self, room: Room, visitor: Visitor) -> Admission:
        """Take up the visitor's turn; again gives the same session, and another pass for it.

        Raises:
            as `Sessions.enter` and `Passes.issue`; entering again is harmless.
        """
        session = await room.sessions.enter(visitor.epoch, visitor.position, visitor.active_until_run_ms)
        return Admission(session, self._pass_for(room, session))

    async def walk_in(self, room: Room, hold_s: float) -> Admission:
        """Let a newcomer straight in, where nobody waits and there is room, for `hold_s` seconds at first.

        The pass is provisional: when it comes back, `renew` confirms it and gives the session its whole length. If it
        does not, the session ends by itself and its slot is the next visitor's. One round trip, shared with whoever
        comes at the same moment.

        Raises:
            NotYourTurn: somebody waits, there is no room, or the room asks something of its joiners; no place was
                taken, and the visitor may join.
            JoinsHeld, RoomClosed, TurnedAway, StoreUnavailable: as `join`.
        """
        if room.asks_joiners:
            raise NotYourTurn("This room asks who joins; take a place in line.", retry_after_s=1)
        session = await room.sessions.walk_in(hold_s)
        return Admission(session, self._pass_for(room, session, provisional=True))

    async def renew(self, room: Room, visitor: Visitor) -> Admission:
        """Prolong the visitor's session, or confirm a provisional one; written to the store before it is signed.

        Raises:
            as `Sessions.renew` and `Passes.issue`; renewing again is harmless.
        """
        session = await room.sessions.renew(visitor.epoch, visitor.position)
        return Admission(session, self._pass_for(room, session))

    async def leave(self, room: Room, visitor: Visitor) -> None:
        """End the visit; see `Sessions.leave`."""
        await room.sessions.leave(visitor.epoch, visitor.position)

    async def revoke(self, room: Room, visitor: Visitor) -> None:
        """End the visit, and keep its holder from a new place for as long as a ticket lives.

        Raises:
            JoinsHeld, StoreUnavailable: as `Sessions.revoke`; revoking again is harmless.
        """
        await room.sessions.revoke(visitor.epoch, visitor.position, self.tickets.ttl_s)

    def _pass_for(self, room: Room, session: Session, *, provisional: bool = False) -> IssuedPass:
        return self.passes.issue(
            room=room.name,
            epoch=session.epoch,
            position=session.position,
            issued_s=session.now_ms // 1000,
            expires_s=ceil(session.ends_ms / 1000),
            provisional=provisional,
        )
