"""A visitor's way: a place taken in a room, carried in a ticket; a turn taken up as a session; and leaving."""

from collections.abc import Awaitable, Callable

from app.errors import TurnedAway
from app.rooms.gatherer import NOBODY, Guest
from app.rooms.room import Room
from app.rooms.sessions import Session, Sessions
from app.rooms.window import LIVE, Standing, Status
from app.tickets.ids import TicketIds
from app.tickets.tickets import IssuedTicket, Ticket, Tickets

NOT_SEEN_YET = Standing(Status.WAITING, 0, 0)


class Visits:
    """Joining, standing, entering and leaving, over rooms and tickets."""

    def __init__(self, tickets: Tickets, sessions: Sessions) -> None:
        self.tickets = tickets
        self._sessions = sessions
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
        """
        if live is not None and live.room == room.name and self.stand(room, live).status in LIVE:
            return None
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

    async def enter(self, room: Room, ticket: Ticket) -> Session:
        """Take up the ticket's turn; see `Sessions.enter`."""
        return await self._sessions.enter(room, ticket.epoch, ticket.position, ticket.active_until_run_ms)

    async def renew(self, room: Room, ticket: Ticket) -> Session:
        """Prolong the ticket's session; see `Sessions.renew`."""
        return await self._sessions.renew(room, ticket.epoch, ticket.position)

    async def leave(self, room: Room, ticket: Ticket) -> None:
        """End the ticket's visit; see `Sessions.leave`."""
        await self._sessions.leave(room, ticket.epoch, ticket.position)
