"""The operator's way to VIP codes, which spare their holders the line."""

from datetime import UTC, datetime

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from app.web.access import Access
from app.web.admin_rooms import ROOM_PATTERN, WHO_HEADER, operator_name
from app.web.bodies import Wire, answer, read_body
from app.web.gate.vip import VIP_PARAMETER
from app.web.operations import Answer, Operation, services_of
from app.web.queries import with_parameter
from app.web.targets import default_target

WEEK_S = 604_800
YEAR_S = 365 * 86_400


class VipWish(Wire):
    """Which codes are wanted."""

    count: int = Field(default=1, ge=1, le=1000)
    single: bool = Field(default=True, description="Whether each counts once; else as often as it is used.")
    expires_in_seconds: float = Field(default=WEEK_S, ge=60, le=YEAR_S, description="How long they may be used.")


class VipCode(Wire):
    """One code."""

    code: str
    link: str = Field(description="The site's start address (`gate.siteUrl`) with the code; any other works as well.")


class VipCodes(Wire):
    """New codes. They are not kept anywhere."""

    room: str
    parameter: str = Field(description="The query parameter that carries a code.")
    expires_at: datetime
    codes: list[VipCode]


async def make(request: Request) -> Response:
    """Sign new codes."""
    wish, services = await read_body(request, VipWish, required=False), services_of(request)
    room = services.rooms.get(request.path_params["room"])
    codes, expires_s = await services.vips.make(
        room, wish.count, wish.expires_in_seconds, operator_name(request), single=wish.single
    )
    start = default_target(room.settings)
    return answer(
        VipCodes(
            room=room.name,
            parameter=VIP_PARAMETER,
            expires_at=datetime.fromtimestamp(expires_s, UTC),
            codes=[VipCode(code=code, link=with_parameter(start, VIP_PARAMETER, code)) for code in codes],
        ),
        201,
    )


OPERATIONS = (
    Operation(
        "POST",
        "/admin/api/rooms/{room}/vip",
        make,
        "Make VIP codes, which spare their holders the line",
        "operator",
        {201: Answer("The codes; shown this once.", VipCodes)},
        description="Needs the room's `gate.vipSecret`; 409 says how to set it.",
        access=Access.ADMIN,
        body=VipWish,
        body_required=False,
        path_patterns=ROOM_PATTERN,
        headers=WHO_HEADER,
        problems=(400, 401, 403, 404, 409, 413, 503),
    ),
)
