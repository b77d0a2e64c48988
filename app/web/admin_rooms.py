"""The operator's way to the rooms: make, look at, change and delete them."""

from typing import Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from app.errors import InvalidInput
from app.rooms.room import Room
from app.rooms.settings import RoomSettings
from app.settings import ROOM_NAME_PATTERN
from app.web.access import Access
from app.web.bodies import NO_STORE, Wire, answer, read_body
from app.web.operations import Answer, Operation, services_of

MAX_WHO = 100


class RoomState(Wire):
    """A room as this replica last saw it."""

    room: str
    epoch: int
    version: int = Field(description="One more with every change that a visitor could see.")
    settings_version: int = Field(description="Send it along with a change, to change only what you saw.")
    gate: str = Field(description="`open`, `closed`, `draining`, or `opens-later`.")
    paused: bool
    healing: bool
    stale: bool
    last: int = Field(description="The last position given out.")
    edge: int = Field(description="The last position whose turn has come.")
    waiting: int
    turns: int = Field(description="Open turns, where they are counted one by one.")
    sessions: int
    active: int = Field(description="Open turns and sessions together, where turns are counted.")
    settings: dict[str, Any]


class RoomList(Wire):
    """Every room."""

    rooms: list[RoomState]


class NewRoom(Wire):
    """A room to be made."""

    room: str = Field(pattern=ROOM_NAME_PATTERN, description="Its name, as in its addresses.")
    settings: RoomSettings = Field(
        default_factory=lambda: RoomSettings(), description="What is not named has its default."
    )


class RoomChanges(Wire):
    """Settings to change; the others stay."""

    settings: dict[str, Any] = Field(description="By name, as in the room's settings; null means the default.")
    expected_version: int | None = Field(
        default=None, ge=0, description="Change only if the settings still have this version."
    )


def operator_name(request: Request) -> str:
    """Who acts, for the audit log: what the operator's program says of itself, or the name given at sign-in.

    Raises:
        InvalidInput: the name is too long.
    """
    signed_in: str | None = getattr(request.state, "operator", None)
    if signed_in is not None:
        return f"{signed_in} (dashboard)" if signed_in else "dashboard"
    who = request.headers.get("x-operator", "").strip() or "operator"
    if len(who) > MAX_WHO or not who.isprintable():
        raise InvalidInput(f"X-Operator has at most {MAX_WHO} printable characters.")
    return who


def described(room: Room) -> RoomState:
    """A room's state and settings; before the first look, zeros."""
    seen = room.snapshot
    gate = "open"
    if seen is not None and seen.closed:
        gate = "draining" if seen.draining else "closed"
    elif seen is not None and not seen.opened:
        gate = "opens-later"
    return RoomState(
        room=room.name,
        epoch=seen.epoch if seen else 0,
        version=seen.version if seen else 0,
        settings_version=seen.settings_version if seen else 0,
        gate=gate,
        paused=seen is not None and seen.paused,
        healing=seen is not None and seen.healing,
        stale=room.stale,
        last=seen.last if seen else 0,
        edge=seen.edge if seen else 0,
        waiting=seen.waiting if seen else 0,
        turns=seen.turns if seen else 0,
        sessions=seen.sessions if seen else 0,
        active=seen.turns + seen.sessions if seen else 0,
        settings=room.settings.shown(),
    )


async def list_rooms(request: Request) -> Response:
    """Every room."""
    rooms = services_of(request).rooms.all()
    return answer(RoomList(rooms=[described(room) for room in sorted(rooms, key=lambda room: room.name)]))


async def show(request: Request) -> Response:
    """One room."""
    return answer(described(services_of(request).rooms.get(request.path_params["room"])))


async def create(request: Request) -> Response:
    """Make a room; every replica serves it within a second."""
    wanted, services = await read_body(request, NewRoom), services_of(request)
    await services.operator.create(wanted.room, wanted.settings, operator_name(request))
    return answer(described(services.rooms.get(wanted.room)), 201)


async def change(request: Request) -> Response:
    """Change some of a room's settings."""
    wanted, services = await read_body(request, RoomChanges), services_of(request)
    room = services.rooms.get(request.path_params["room"])
    await services.operator.change(
        room.name, wanted.settings, operator_name(request), expected_version=wanted.expected_version
    )
    await services.operator.look(room)
    return answer(described(room))


async def delete(request: Request) -> Response:
    """Take a room away."""
    await services_of(request).operator.delete(request.path_params["room"], operator_name(request))
    return Response(status_code=204, headers=NO_STORE)


ROOM_PATTERN = {"room": ROOM_NAME_PATTERN}
WHO_HEADER = {"X-Operator": "Who acts, for the audit log; `operator` when not given."}

OPERATIONS = (
    Operation(
        "GET",
        "/admin/api/rooms",
        list_rooms,
        "Every room",
        "operator",
        {200: Answer("The rooms, by name.", RoomList)},
        access=Access.ADMIN,
        problems=(401, 403),
    ),
    Operation(
        "POST",
        "/admin/api/rooms",
        create,
        "Make a room",
        "operator",
        {201: Answer("The room; every replica serves it within a second.", RoomState)},
        access=Access.ADMIN,
        body=NewRoom,
        headers=WHO_HEADER,
        problems=(400, 401, 403, 409, 413, 503),
    ),
    Operation(
        "GET",
        "/admin/api/rooms/{room}",
        show,
        "One room",
        "operator",
        {200: Answer("Its state and settings.", RoomState)},
        access=Access.ADMIN,
        path_patterns=ROOM_PATTERN,
        problems=(401, 403, 404),
    ),
    Operation(
        "PATCH",
        "/admin/api/rooms/{room}",
        change,
        "Change a room's settings",
        "operator",
        {200: Answer("The room as it is now; in force on every replica within a second.", RoomState)},
        access=Access.ADMIN,
        body=RoomChanges,
        path_patterns=ROOM_PATTERN,
        headers=WHO_HEADER,
        problems=(400, 401, 403, 404, 409, 413, 503),
    ),
    Operation(
        "DELETE",
        "/admin/api/rooms/{room}",
        delete,
        "Delete a room",
        "operator",
        {204: Answer("It is gone; its tickets hold no more.")},
        access=Access.ADMIN,
        path_patterns=ROOM_PATTERN,
        headers=WHO_HEADER,
        problems=(400, 401, 403, 404, 409, 503),
    ),
)
