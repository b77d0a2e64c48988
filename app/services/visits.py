"""A visitor's way: a place taken in a room, carried in a ticket."""

from app.clock import Clock
from app.rooms.room import Room
from app.rooms.window import LIVE, Standing, Status, standing
from app.tickets.ids import TicketIds
from app.tickets.tickets import IssuedTicket, Ticket, Tickets

NOT_SEEN_YET = Standing(Status.WAITING, 0, 0)


class Visits:
    """Joining and standing, over rooms and tickets."""

    def __init__(self, tickets: Tickets, clock: Clock) -> None:
        self.tickets = tickets
        self._clock = clock
        self._ids = TicketIds()

    async def join(self, room: Room, live: Ticket | None, idempotency_key: str | None) -> IssuedTicket | None:
        """A ticket for a new place; None when `live` still holds one here, which then is the visitor's.

        Raises:
            JoinsHeld, RoomClosed, NotFound, StoreUnavailable: as `Room.join` and `Tickets.issue`.
        """
        if live is not None and live.room == room.name and self.stand(room, live).status in LIVE:
            return None
        place = await room.join(self._ids.next(), idempotency_key)
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
        return standing(room.snapshot, ticket.epoch, ticket.position, ticket.active_until_run_ms)
