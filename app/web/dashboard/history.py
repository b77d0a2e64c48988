"""A room's last hour, for charts."""

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from app.rooms.series import EVERY_MS
from app.web.bodies import Wire, answer, read_query
from app.web.operations import services_of


class HistoryQuery(Wire):
    """How much of it."""

    since: int = Field(
        default=0, ge=0, le=2**53, description="Only what is later than this, in milliseconds since 1970."
    )


class RoomHistory(Wire):
    """A room over time, column by column; every list is as long as `at`, the oldest first."""

    room: str
    every_seconds: float = Field(description="How often a moment is written down; none is while nothing changes.")
    at: list[int] = Field(description="The moments, in milliseconds since 1970 by the store's clock.")
    waiting: list[int]
    on_turn: list[int]
    inside: list[int]
    joins_per_minute: list[float] = Field(description="Over the half minute before each moment, as are the next three.")
    admitted_per_minute: list[float]
    abandoned_per_minute: list[float]
    polls_per_second: list[float]
    wait_seconds: list[float | None] = Field(description="What a newcomer might have expected; null when not known.")


async def history(request: Request) -> Response:
    """The last hour of a room."""
    services = services_of(request)
    room = services.rooms.get(request.path_params["room"])
    points = await services.history.points(room.name, read_query(request, HistoryQuery).since)
    return answer(
        RoomHistory(
            room=room.name,
            every_seconds=EVERY_MS / 1000,
            at=[point.at_ms for point in points],
            waiting=[point.waiting for point in points],
            on_turn=[point.on_turn for point in points],
            inside=[point.inside for point in points],
            joins_per_minute=[point.rates.joins_per_minute for point in points],
            admitted_per_minute=[point.rates.admitted_per_minute for point in points],
            abandoned_per_minute=[point.rates.abandoned_per_minute for point in points],
            polls_per_second=[point.rates.polls_per_second for point in points],
            wait_seconds=[point.wait_s for point in points],
        )
    )
