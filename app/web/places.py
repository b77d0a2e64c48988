"""A visitor's place as JSON: what /join and /status answer, written by hand because every poll needs it."""

from collections.abc import Mapping
from json import dumps
from math import ceil
from random import random
from typing import Any

from app.rooms.estimate import Wait
from app.rooms.polling import MAX_POLL_S, MIN_POLL_S, poll_after_s
from app.rooms.room import Room
from app.rooms.window import ACTIVE, PASSED, PAUSED, WAITING, Standing, Status
from app.tickets.tickets import Ticket

_MESSAGES = {
    Status.WAITING: b"You are in line; keep this ticket and ask again after pollAfterSeconds.",
    Status.ACTIVE: b"It is your turn.",
    Status.ENTERED: b"You are inside; your session goes on until it ends or you leave.",
    Status.EXPIRED: b"Your turn is over; join again for a new place.",
    Status.PASSED: b"You were passed over because you had stopped asking; you are put back at the front as you ask now.",
    Status.ENDED: b"Your visit has ended; join again for a new place.",
    Status.CLOSED: b"Your turn is over, and this room takes no more visitors.",
    Status.PAUSED: b"The line stands still for now; you keep your place.",
    Status.RESET: b"This line was started anew; join again for a place in it.",
}
_STATUS_BYTES = {status: status.value.encode() for status in Status}


NO_WAIT = Wait(0.0, 0.0, 0.0)
UNKNOWN_POLL_S = 3.0
"""The least that visitors wait before they ask a replica again that knows nothing of the room so far."""


def render_place(
    room: Room, ticket: Ticket, stand: Standing, poll_ceiling: float, token: bytes | None
) -> tuple[bytes, int]:
    """The answer for one ticket, and its `Retry-After` in seconds; `token` is included when the visitor gets a new one."""
    snapshot = room.snapshot
    status = stand.status
    wait_s, wait = 0.0, NO_WAIT
    # A replica that has only just started knows nothing of the room yet: it may be anybody's turn already.
    poll_s = MAX_POLL_S if snapshot is not None else UNKNOWN_POLL_S * (1 + random())
    active = b""
    if status is ACTIVE:
        # The snapshot's clock lags behind the join's by up to a refresh; nobody is told more than a whole turn.
        active_s = (stand.active_ms if snapshot is None else min(stand.active_ms, snapshot.active_ms)) / 1000
        active = b',"activeForSeconds":%.1f' % active_s
        poll_s = poll_after_s(active_s, 0, poll_ceiling, active_s, random())
    elif status is PASSED:
        poll_s = MIN_POLL_S
    elif snapshot is not None and (status is WAITING or status is PAUSED):
        wait = room.wait(snapshot, stand.ahead)
        wait_s = wait.expected_ms / 1000
        poll_s = poll_after_s(wait_s, snapshot.waiting, poll_ceiling, snapshot.active_ms / 1000, random())
    if room.settings.pass_over:
        room.note_asked(ticket.epoch, ticket.position, poll_s)
    body = (
        b'{%b"room":"%b","position":%d,"status":"%b","ahead":%d,"estimatedWaitSeconds":%d,"estimatedWaitLowSeconds":%d,"estimatedWaitHighSeconds":%b,"pollAfterSeconds":%.1f%b,"epoch":%d,"stale":%b,"message":"%b"}'
        % (
            b'"token":"%b",' % token if token else b"",
            room.name_bytes,
            ticket.position,
            _STATUS_BYTES[status],
            stand.ahead,
            ceil(wait_s),
            wait.low_ms // 1000,
            b"null" if wait.high_ms is None else b"%d" % ceil(wait.high_ms / 1000),
            poll_s,
            active,
            ticket.epoch,
            b"true" if room.stale else b"false",
            _MESSAGES[status],
        )
    )
    return body, int(poll_s) or 1


def serving_of(room: Room) -> dict[str, Any] | None:
    """The room's public state: what anybody may know, and a cache may keep for a second; None before the first look."""
    snapshot = room.snapshot
    if snapshot is None:
        return None
    due_ms = snapshot.due_in_ms()
    limit = room.settings.max_waiting
    return {
        "room": room.name,
        "epoch": snapshot.epoch,
        "version": snapshot.version,
        "serving": snapshot.edge,
        "last": snapshot.last,
        "waiting": snapshot.waiting,
        "windowSize": snapshot.size,
        "windowIntervalSeconds": snapshot.interval_ms / 1000,
        "nextMoveSeconds": None if due_ms is None else round(due_ms / 1000, 1),
        "paused": snapshot.paused,
        "closed": snapshot.closed,
        "full": limit is not None and snapshot.waiting >= max(1, limit),
        "passesOver": room.settings.pass_over,
        "opensAt": room.opens_at_ms(snapshot),
        "refusal": room.settings.refusal,
        "stale": room.stale,
        "message": room.settings.look.message,
        "updatedAt": snapshot.now_ms,
    }


def render_serving(room: Room) -> bytes:
    """The same as JSON; nothing before the first look."""
    serving = serving_of(room)
    return b"" if serving is None else written(serving)


def written(serving: Mapping[str, Any]) -> bytes:
    """A room's public state as JSON, on one line."""
    return dumps(serving, separators=(",", ":")).encode()
