"""What the waiting page shows of a room and of the ticket in a browser's cookie.

The page reads what programs read: a visitor's place is the document that `/status` answers, the room is the one of
`/serving`. So a server-rendered page and one that is kept up to date by its scripts cannot disagree.
"""

import json
from dataclasses import dataclass
from typing import Any

from app.errors import StoreUnavailable, TicketRefused
from app.rooms.room import Room
from app.services import Services
from app.tickets.tickets import IssuedTicket, Ticket
from app.web.cookies import ticket_in_cookies
from app.web.page_texts import STATES
from app.web.places import render_place, render_serving

DEFAULT_REFRESH_S = 10
"""How soon a page without a place looks again."""
FULL_WAIT_RANGE = (0.8, 1.3)
"""An estimate is shown as a range around it: the pace of the line is known, how it will change is not."""


@dataclass(frozen=True)
class PageState:
    """Everything of a moment that the page shows."""

    key: str
    """The entry of `page_texts.STATES` to show."""
    place: dict[str, Any] | None
    """What `/status` answers, or None without a ticket that holds."""
    serving: dict[str, Any] | None
    """What `/serving` answers, or None before the first look at the store."""
    refresh_s: int
    """When to look again."""
    renewed: IssuedTicket | None = None
    """The ticket with a fresh lifetime, when it is past half of its old one."""


async def page_state(services: Services, room: Room, cookie_header: bytes) -> PageState:
    """The state for whoever sends this `Cookie` header."""
    raw = render_serving(room)
    serving: dict[str, Any] | None = json.loads(raw) if raw else None
    ticket = await _held_ticket(services, room, ticket_in_cookies(cookie_header, room.name_bytes))
    if serving is None:
        return PageState("away", None, None, DEFAULT_REFRESH_S)
    if ticket is None:
        return PageState(without_place(serving), None, serving, DEFAULT_REFRESH_S)
    stand = services.visits.stand(room, ticket)
    reply = render_place(room, ticket, stand, services.settings.poll_ceiling, None)
    place: dict[str, Any] = json.loads(reply.body)
    return PageState(
        state_key(place), place, serving, max(2, reply.retry_after_s), services.visits.tickets.renewed(ticket)
    )


async def _held_ticket(services: Services, room: Room, token: bytes | None) -> Ticket | None:
    """The cookie's ticket, if it holds; one that does not is the same as none."""
    if token is None:
        return None
    try:
        ticket = await services.visits.tickets.verify(token)
    except (TicketRefused, StoreUnavailable):
        return None
    return ticket if ticket.room == room.name else None


def without_place(serving: dict[str, Any]) -> str:
    """The state of a visitor who has no place in a room."""
    if serving.get("closed"):
        return "closed"
    return "full" if serving.get("full") else "none"


def state_key(place: dict[str, Any]) -> str:
    """The entry of the table for a place's status."""
    status: str = place["status"]
    return status if status in STATES else "other"


def wait_range_s(estimated_s: float) -> tuple[float, float]:
    """The honest form of an estimate: from how long to how long it may take."""
    low, high = FULL_WAIT_RANGE
    return estimated_s * low, estimated_s * high


def progress(first_ahead: int, ahead: int) -> float:
    """How far a visitor has come since their place was first shown, from 0 to 1; never less than before."""
    return max(0.0, min(1.0, 1 - (ahead + 1) / (max(first_ahead, ahead) + 1)))
