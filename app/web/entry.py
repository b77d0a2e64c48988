"""The way on from the waiting page once somebody has entered: to the site, with an entry code where that is another host."""

from urllib.parse import parse_qsl, quote, unquote_plus, urlsplit

from starlette.requests import Request

from app.rooms.room import Room
from app.services import Services
from app.tickets.passes import IssuedPass
from app.web.operations import services_of
from app.web.page_target import site_of
from app.web.proxies import Proxies
from app.web.targets import checked_target, default_target

ENTRY_PARAMETER = "waiting-room-entry"
_MARK = ENTRY_PARAMETER + "="


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
    if issued is None or not parts.netloc or parts.netloc == own_host.lower() or not _page_lives_apart(room):
        return target
    if parts.scheme != "https" and _is_https(request, services):
        return target  # a code that opens the site is not sent in clear where it need not be
    code = await services.entries.make(room, issued, parts.netloc.lower())
    bare, hash_sign, fragment = without_entry(target).partition("#")
    return f"{bare}{'&' if '?' in bare else '?'}{_MARK}{quote(code, safe='')}{hash_sign}{fragment}"


def entry_in(uri: str) -> str | None:
    """The entry code in a request target, if there is one."""
    if _MARK not in uri:
        return None
    pairs = parse_qsl(uri.partition("?")[2], max_num_fields=200)
    return next((value for name, value in pairs if name == ENTRY_PARAMETER), None)


def without_entry(uri: str) -> str:
    """The request target as it was before a code was put into its query; all else stays as it was written."""
    if _MARK not in uri:
        return uri
    bare, hash_sign, fragment = uri.partition("#")
    path, _, query = bare.partition("?")
    kept = [pair for pair in query.split("&") if unquote_plus(pair.partition("=")[0]) != ENTRY_PARAMETER]
    return path + ("?" + "&".join(kept) if kept else "") + hash_sign + fragment


def _page_lives_apart(room: Room) -> bool:
    page = room.settings.gate.page_url
    return page is not None and not page.startswith("/")


def _is_https(request: Request, services: Services) -> bool:
    return Proxies(services.settings).is_https(request.scope, dict(request.scope["headers"]))
