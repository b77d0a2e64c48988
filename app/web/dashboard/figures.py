"""What the dashboard shows of everything at a moment: rooms from memory, the rest as the store said last."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from pydantic import Field

from app.errors import StoreUnavailable
from app.rooms.room import Room
from app.rooms.series import Rates
from app.rooms.settings import Method
from app.rooms.snapshot import Snapshot
from app.services import Services
from app.tasks.queues import QueueStats
from app.web.bodies import Wire

MAX_QUEUES = 50
"""How many task queues are looked at."""

Condition = Literal[
    "open", "paused", "closed", "draining", "opens-later", "full", "rejecting", "healing", "stale", "starting"
]


class RoomFigures(Wire):
    """One room in figures."""

    room: str
    title: str = Field(description="As the waiting page shows it; empty when the room has no title of its own.")
    condition: Condition = Field(description="The one thing to know first about the room.")
    paused: bool
    closed: bool
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

    joins_per_minute: float | None = Field(
        default=None, description="Over the last half minute, as are the next three."
    )
    admitted_per_minute: float | None = None
    abandoned_per_minute: float | None = Field(
        default=None,
        description="Turns let run out, places passed over or given up; where turns are not counted, only the last.",
    )
    polls_per_second: float | None = Field(default=None, description="Over all replicas.")


class QueueFigures(Wire):
    """One task queue in figures."""

    queue: str
    pending: int
    processing: int
    dead: int = Field(description="Dead letters.")
    oldest_wait_seconds: float = Field(description="For how long the first of the ready tasks has waited.")


class Overview(Wire):
    """Everything at a glance."""

    replica: str = Field(description="Who answers.")
    replicas: int = Field(description="How many live, as far as the leader's list says.")
    store_up: bool = Field(description="Whether this replica reached the store just now.")
    rooms: list[RoomFigures]
    queues: list[QueueFigures] | None = Field(default=None, description="Absent while the store cannot be asked.")
    locks_held: int | None = Field(default=None, description="Absent while the store cannot be asked.")


@dataclass(frozen=True)
class Asked:
    """What only the store knows, as of the last time it was asked."""

    rates: Mapping[str, Rates] = field(default_factory=dict)
    queues: list[QueueFigures] | None = None
    locks_held: int | None = None


async def ask(services: Services) -> Asked:
    """What only the store knows; nothing while it is away."""
    try:
        rates = await services.history.rates()
        tasks = services.tasks.queues
        counted = await tasks.stats_of((await tasks.list.names())[:MAX_QUEUES])
        queues = [_queue(name, stats) for name, stats in counted.items()]
        held, _ = await services.locks.held(1)
    except StoreUnavailable:
        return Asked()
    return Asked(rates, queues, held)


def _queue(name: str, counted: QueueStats) -> QueueFigures:
    return QueueFigures(
        queue=name,
        pending=counted.stats.pending,
        processing=counted.stats.processing,
        dead=counted.stats.failed,
        oldest_wait_seconds=round(counted.oldest_wait_ms / 1000, 1),
    )


def overview(services: Services, asked: Asked) -> Overview:
    """Everything of this moment, and what the store said last."""
    rooms = sorted(services.rooms.all(), key=lambda room: (room.name != "default", room.name))
    return Overview(
        replica=services.settings.app_name,
        replicas=services.housekeeping.live_replicas,
        store_up=services.store_is_up,
        rooms=[figures_of(room, asked.rates.get(room.name)) for room in rooms],
        queues=asked.queues,
        locks_held=asked.locks_held,
    )


def figures_of(room: Room, rates: Rates | None) -> RoomFigures:
    """One room, as last seen; before the first look, zeros."""
    seen, settings = room.snapshot, room.settings
    wait = room.wait_of_newcomer()
    return RoomFigures(
        room=room.name,
        title=settings.look.title or "",
        condition=condition_of(room),
        paused=seen is not None and seen.paused,
        closed=seen is not None and seen.closed,
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
        **({} if rates is None else asdict(rates)),
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
