"""What the dashboard shows of every room at a moment, from memory."""

from typing import Literal

from pydantic import Field

from app.rooms.room import Room
from app.rooms.settings import Method
from app.rooms.snapshot import Snapshot
from app.services import Services
from app.web.bodies import Wire

Condition = Literal[
    "open", "paused", "closed", "draining", "opens-later", "full", "rejecting", "healing", "stale", "starting"
]


class RoomFigures(Wire):
    """One room in figures."""

    room: str
    title: str = Field(description="As the waiting page shows it; empty when the room has no title of its own.")
    condition: Condition = Field(description="The one thing to know first about the room.")
    epoch: int
    settings_version: int
    last: int = Field(description="The last position given out.")
    waiting: int
    on_turn: int = Field(
        description="Let in, and neither entered nor over; in rooms with batches alone, at most so many."
    )
    inside: int = Field(description="Live sessions.")
    counted: bool = Field(description="Whether turns are counted one by one.")
    max_active: int | None = None
    max_waiting: int | None = None
    wait_seconds: float | None = Field(
        default=None,
        description="What whoever joins now may expect; absent while the line stands still or nothing is known.",
    )
    wait_low_seconds: float | None = None
    wait_high_seconds: float | None = Field(default=None, description="Absent when it cannot be told.")


class Overview(Wire):
    """All rooms at a glance."""

    replica: str = Field(description="Who answers.")
    replicas: int = Field(description="How many live, as far as the leader's list says.")
    store_up: bool = Field(description="Whether this replica reached the store just now.")
    rooms: list[RoomFigures]


def overview(services: Services) -> Overview:
    """Everything of this moment; asks nobody."""
    rooms = sorted(services.rooms.all(), key=lambda room: (room.name != "default", room.name))
    return Overview(
        replica=services.settings.app_name,
        replicas=services.housekeeping.live_replicas,
        store_up=services.store_is_up,
        rooms=[figures_of(room) for room in rooms],
    )


def figures_of(room: Room) -> RoomFigures:
    """One room, as last seen; before the first look, zeros."""
    seen, settings = room.snapshot, room.settings
    wait = room.wait_of_newcomer()
    return RoomFigures(
        room=room.name,
        title=settings.look.title or "",
        condition=condition_of(room),
        epoch=seen.epoch if seen else 0,
        settings_version=seen.settings_version if seen else 0,
        last=seen.last if seen else 0,
        waiting=seen.waiting if seen else 0,
        on_turn=on_turn(seen) if seen else 0,
        inside=seen.sessions if seen else 0,
        counted=seen is not None and seen.counted == 1,
        max_active=settings.max_active,
        max_waiting=settings.max_waiting,
        wait_seconds=None if wait is None else round(wait.expected_ms / 1000, 1),
        wait_low_seconds=None if wait is None else round(wait.low_ms / 1000, 1),
        wait_high_seconds=None if wait is None or wait.high_ms is None else round(wait.high_ms / 1000, 1),
    )


def condition_of(room: Room) -> Condition:
    """The one thing to know first: what stops the line comes before what stops joins."""
    seen, settings = room.snapshot, room.settings
    if seen is None:
        return "starting"
    limit = settings.max_waiting
    conditions: tuple[tuple[bool, Condition], ...] = (
        (room.stale, "stale"),
        (seen.healing, "healing"),
        (seen.paused, "paused"),
        (settings.method is Method.REJECT, "rejecting"),
        (seen.closed and bool(seen.draining), "draining"),
        (seen.closed, "closed"),
        (not seen.opened, "opens-later"),
        (limit is not None and seen.waiting >= max(1, limit), "full"),
    )
    return next((name for holds, name in conditions if holds), "open")


def on_turn(seen: Snapshot) -> int:
    """How many turns are open. Rooms with batches alone do not count them: there it is who could still come."""
    if seen.counted:
        return seen.turns
    return max(0, min(seen.edge, seen.last) - seen.floor)
