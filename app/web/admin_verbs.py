"""The operator's way to what happens in a room: verbs, sessions, the audit log."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from app.rooms.operator import SESSIONS_PAGE, VERBS
from app.web.access import Access
from app.web.admin_rooms import ROOM_PATTERN, WHO_HEADER, RoomState, described, operator_name
from app.web.bodies import NO_STORE, Wire, answer, read_body, read_query
from app.web.operations import Answer, Operation, services_of

MOST_ADMITTED = 100_000
"""At once: a second's work."""


class VerbWish(Wire):
    """How a verb is meant."""

    expected_epoch: int = Field(
        default=0, ge=0, le=2**53, description="Act only in this epoch (0: any), so that a repeated reset resets once."
    )


class AdmitWish(Wire):
    """How many to let in."""

    count: int = Field(
        ge=1, le=MOST_ADMITTED, description="The next so many, whatever the pace; maxActive still holds."
    )


class Admitted(Wire):
    """What came of it."""

    admitted: int = Field(description="How many were let in: fewer when no more waited, or the capacity is used up.")


class EndWish(Wire):
    """Whose visits to end."""

    positions: list[Annotated[int, Field(ge=1)]] = Field(
        min_length=1, max_length=1000, description="Positions of the present epoch."
    )
    expected_epoch: int = Field(
        default=0, ge=0, le=2**53, description="End them only if this is the present epoch (0: whichever is)."
    )
    revoke: bool = Field(
        default=False, description="Also keep their holders from new places, as far as they can be told from others."
    )


class Ended(Wire):
    """What came of it."""

    ended: int = Field(description="How many of them were in line, on turn or in a session.")


class SessionRow(Wire):
    """One live session."""

    session_id: str
    position: int
    started_at: datetime
    ends_at: datetime


class SessionPage(Wire):
    """Live sessions."""

    epoch: int
    sessions: int = Field(description="How many there are in all.")
    turns: int = Field(description="Open turns, where they are counted one by one.")
    page: list[SessionRow]


class PageQuery(Wire):
    """Which part of a list."""

    offset: int = Field(default=0, ge=0, le=10_000_000, description="How many to step over.")
    count: int = Field(default=100, ge=1, le=SESSIONS_PAGE, description="How many to show.")
    latest: bool = Field(default=False, description="Those that end last before the others, not first.")


class CountQuery(Wire):
    """How much of a log."""

    count: int = Field(default=100, ge=1, le=1000, description="How many entries, the newest first.")


class AuditEntry(Wire):
    """One act of an operator."""

    at: datetime
    who: str
    action: str = Field(
        description="The verb; `revoke` where visits were ended and their holders kept out, else `end`."
    )
    before: Any = Field(
        description="The room's state, or its settings, before; of `end` and `revoke`, how many visits they ended."
    )
    after: Any


class AuditLog(Wire):
    """What operators did to a room, newest first; it outlives the room by up to a year."""

    entries: list[AuditEntry]


async def act(request: Request) -> Response:
    """Carry out the verb at the end of the path."""
    wish, services = await read_body(request, VerbWish, required=False), services_of(request)
    room = services.rooms.get(request.path_params["room"])
    verb = request.scope["path"].rpartition("/")[2]
    await services.operator.control(room.name, verb, operator_name(request), expected_epoch=wish.expected_epoch)
    await services.operator.look(room)
    return answer(described(room))


async def admit(request: Request) -> Response:
    """Let the next few in at once."""
    wish, services = await read_body(request, AdmitWish), services_of(request)
    admitted = await services.operator.admit(request.path_params["room"], wish.count, operator_name(request))
    return answer(Admitted(admitted=admitted))


async def sessions(request: Request) -> Response:
    """A page of live sessions."""
    query = read_query(request, PageQuery)
    found = await services_of(request).operator.sessions(
        request.path_params["room"], query.offset, query.count, latest=query.latest
    )
    rows = [
        SessionRow(
            session_id=f"{found.epoch}-{item.position}",
            position=item.position,
            started_at=_time(item.started_ms),
            ends_at=_time(item.ends_ms),
        )
        for item in found.page
    ]
    return answer(SessionPage(epoch=found.epoch, sessions=found.sessions, turns=found.turns, page=rows))


async def end(request: Request) -> Response:
    """End visits."""
    wish, services = await read_body(request, EndWish), services_of(request)
    bar_s = services.settings.ticket_ttl if wish.revoke else 0
    ended = await services.operator.end(
        request.path_params["room"],
        wish.positions,
        operator_name(request),
        expected_epoch=wish.expected_epoch,
        bar_s=bar_s,
    )
    return answer(Ended(ended=ended))


async def audit(request: Request) -> Response:
    """The audit log, also of a room that is gone."""
    name = request.path_params["room"]
    query, services = read_query(request, CountQuery), services_of(request)
    entries = await services.operator.audit(name, query.count)
    if not entries:
        services.rooms.get(name)
    log = AuditLog(entries=[AuditEntry(**{**entry, "at": _time(entry["at"])}) for entry in entries])
    return Response(log.model_dump_json(), headers=NO_STORE, media_type="application/json")


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


_MEANINGS = {
    "pause": "Let the line stand still: joins go on, nobody's time runs",
    "resume": "Let a paused line go on",
    "open": "Take new visitors again",
    "close": "Take no new visitors; the line goes on",
    "drain": "Take no new visitors, serve the line, then be closed",
    "reset": "Start the line anew: a new epoch, in which no earlier ticket counts",
}

OPERATIONS = (
    *(
        Operation(
            "POST",
            f"/admin/api/rooms/{{room}}/{verb}",
            act,
            _MEANINGS[verb],
            "operator",
            {200: Answer("The room as it is now; in force on every replica within a second.", RoomState)},
            access=Access.ADMIN,
            body=VerbWish,
            body_required=False,
            path_patterns=ROOM_PATTERN,
            headers=WHO_HEADER,
            problems=(400, 401, 403, 404, 409, 413, 503),
        )
        for verb in VERBS
    ),
    Operation(
        "POST",
        "/admin/api/rooms/{room}/admit",
        admit,
        "Let the next few in at once",
        "operator",
        {200: Answer("How many were let in.", Admitted)},
        access=Access.ADMIN,
        body=AdmitWish,
        path_patterns=ROOM_PATTERN,
        headers=WHO_HEADER,
        problems=(400, 401, 403, 404, 413, 503),
    ),
    Operation(
        "GET",
        "/admin/api/rooms/{room}/sessions",
        sessions,
        "The live sessions",
        "operator",
        {200: Answer("A page of them, and how many there are.", SessionPage)},
        access=Access.ADMIN,
        query=PageQuery,
        path_patterns=ROOM_PATTERN,
        problems=(400, 401, 403, 404, 503),
    ),
    Operation(
        "POST",
        "/admin/api/rooms/{room}/sessions/end",
        end,
        "End visits",
        "operator",
        {200: Answer("How many were ended; their slots are handed on at once.", Ended)},
        access=Access.ADMIN,
        body=EndWish,
        path_patterns=ROOM_PATTERN,
        headers=WHO_HEADER,
        problems=(400, 401, 403, 404, 409, 410, 413, 503),
    ),
    Operation(
        "GET",
        "/admin/api/rooms/{room}/audit",
        audit,
        "What operators did to a room",
        "operator",
        {200: Answer("Newest first.", AuditLog)},
        access=Access.ADMIN,
        query=CountQuery,
        path_patterns=ROOM_PATTERN,
        problems=(400, 401, 403, 404, 503),
    ),
)
