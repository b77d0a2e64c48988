"""The way on from the waiting page once somebody has entered: to the site, with an entry code where that is another host."""

from urllib.parse import urlsplit

from starlette.requests import Request

from app.rooms.room import Room
from app.tickets.passes import IssuedPass
from app.web.operations import services_of
from app.web.page_target import site_of
from app.web.proxies import is_https
from app.web.queries import with_parameter, without_parameter
from app.web.targets import checked_target, default_target

ENTRY_PARAMETER = "waiting-room-entry"


async def way_on(request: Request, room: Room, issued: IssuedPass | None) -> str:
    """Where a browser goes that has just entered: where its visitor wanted to, if that is allowed, else to the room's site.

    Args:
        issued: the pass that the site's host is to have as well; None for those who carry theirs there themselves.

    Raises:
        StoreUnavailable: a code is needed and cannot be made; entering again is harmless.
    """
    services, own_host = services_of(request), request.headers.get("host", "")
    target = (
        checked_target(request.query_params.get("target", ""), room.settings, own_host)
        or site_of(room, services.settings.root_path)
        or default_target(room.settings)
    )
    parts = urlsplit(target)
    if (
        issued is None
        or not parts.netloc
        or parts.netloc == own_host.lower()
        or not room.settings.gate.page_lives_apart
    ):
        return target
    if parts.scheme != "https" and is_https(request):
        return target  # a code that opens the site is not sent in clear where it need not be
    code = await services.entries.make(room, issued, parts.netloc.lower())
    return with_parameter(without_parameter(target, ENTRY_PARAMETER), ENTRY_PARAMETER, code)
