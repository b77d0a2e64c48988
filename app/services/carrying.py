"""Taking a place from one device to another: by a code, which gives the other device the same ticket."""

import json

from app.errors import Conflict, Forbidden, TurnOver
from app.rooms.offers import Offer, Offers, OfferState
from app.rooms.room import Room
from app.rooms.window import LIVE, Status
from app.services.visits import Visits
from app.tickets.tickets import IssuedTicket, Ticket


class Carrying:
    """Offers of places, and tickets for those who bring their codes."""

    def __init__(self, visits: Visits, offers: Offers) -> None:
        self._visits = visits
        self._offers = offers

    async def offer(self, room: Room, ticket: Ticket, target: str | None) -> Offer:
        """A code for the ticket's place.

        Args:
            target: where its visitor wants to go, already checked; it goes along.

        Raises:
            Forbidden: the room does not let places travel.
            Conflict: the visitor is inside already; a visit does not travel.
            TurnOver: there is no place any more.
            TooManyCodes, StoreUnavailable: as `Offers.make`.
        """
        _allowed(room)
        status = self._visits.stand(room, ticket).status
        if status is Status.ENTERED:
            raise Conflict("You are inside already; only a place in line or on turn can be taken to another device.")
        if status not in LIVE:
            raise TurnOver("There is no place any more to take along; join again.", visitStatus=status.value)
        place = {**ticket._asdict(), "target": target}
        return await self._offers.make(room.name, f"{ticket.epoch}-{ticket.position}", json.dumps(place))

    async def take(self, room: Room, code: str, address: str, taker: str | None) -> tuple[IssuedTicket, str | None]:
        """The ticket of the place that a code stands for, and where its visitor wanted to go.

        Raises:
            Forbidden: the room does not let places travel.
            CodeRefused, TooManyCodes, StoreUnavailable: as `Offers.take`.
        """
        _allowed(room)
        place = json.loads(await self._offers.take(room.name, code, address, taker))
        target: str | None = place.pop("target")
        ticket = Ticket(**place)
        issued = self._visits.tickets.issue(
            room=room.name,
            epoch=ticket.epoch,
            position=ticket.position,
            active_until_run_ms=ticket.active_until_run_ms,
            issued_s=ticket.issued_s,
            ticket_id=ticket.ticket_id,
        )
        return issued, target

    async def look(self, room: Room, offer_id: str) -> tuple[OfferState, float]:
        """What has become of an offer, and the seconds that it is still known.

        Raises:
            StoreUnavailable: as `Offers.look`.
        """
        state, ttl_ms = await self._offers.look(room.name, offer_id)
        return state, ttl_ms / 1000


def _allowed(room: Room) -> None:
    if not room.settings.carry:
        raise Forbidden("Places of this room stay on the device that took them.")
