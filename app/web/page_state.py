"""What the waiting page shows of a room and of the ticket in a browser's cookie.

The page reads what programs read: a visitor's place is the document that `/status` answers, the room is the one of
`/serving`. So a server-rendered page and one that is kept up to date by its scripts cannot disagree.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import StoreUnavailable, TicketRefused
from app.rooms.room import Room
from app.services import Services
from app.tickets.tickets import IssuedTicket, Ticket
from app.web.cookies import ticket_in_cookies
from app.web.page_texts import STATES
from app.web.places import render_place, serving_of

DEFAULT_REFRESH_S = 10
"""How soon a page without a place looks again."""


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
    ticket = await _held_ticket(services, room, ticket_in_cookies(cookie_header, room.name_bytes))
    serving = serving_of(room)  # with nothing to wait for before it is used: the page may be kept for others
    if serving is None:
        return PageState("away", None, None, DEFAULT_REFRESH_S)
    if ticket is None:
        return PageState(without_place(serving), None, serving, DEFAULT_REFRESH_S)
    stand = services.visits.stand(room, ticket)
    body, retry_after_s = render_place(room, ticket, stand, services.settings.poll_ceiling, None)
    place: dict[str, Any] = json.loads(body)
    return PageState(
        state_key(place, serving), place, serving, max(2, retry_after_s), services.visits.tickets.renewed(ticket)
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
    if serving.get("refusal") is not None:
        return "refused"
    if serving.get("full"):
        return "full"
    return "gather" if opens_in_s(serving) > 0 else "none"


def state_key(place: dict[str, Any], serving: dict[str, Any]) -> str:
    """The entry of the table for a place's status in a room."""
    status: str = place["status"]
    if status == "waiting" and opens_in_s(serving) > 0:
        return "early"
    return status if status in STATES else "other"


def opens_in_s(serving: Mapping[str, Any]) -> float:
    """Seconds until the room opens by itself, by the store's clock; 0 when it is open."""
    opens_at_ms = serving.get("opensAt")
    return 0.0 if opens_at_ms is None else max(0.0, (opens_at_ms - serving["updatedAt"]) / 1000)


def progress(first_ahead: int, ahead: int) -> float:
    """How far a visitor has come since their place was first shown, from 0 to 1; never less than before."""
    return max(0.0, min(1.0, 1 - (ahead + 1) / (max(first_ahead, ahead) + 1)))


def shows_progress(facts: Sequence[str]) -> bool:
    """Whether a state with these figures has a bar: in line, and the line has opened."""
    return "ahead" in facts and "until" not in facts
