"""The site ends a visit: its proxy passes the word on, with the visitor's own pass as the proof of whose visit it is."""

from starlette.requests import Request
from starlette.responses import Response

from app.errors import InvalidInput, PassRefused
from app.rooms.room import Room
from app.services.visits import Visitor
from app.settings import ROOM_NAME_PATTERN
from app.tickets.passes import Pass
from app.web.bodies import NO_STORE
from app.web.cookies import CARRIER, pass_cookie, passes_in_cookies
from app.web.operations import Answer, Operation, services_of
from app.web.origins import origins_of
from app.web.proxies import is_https, proxies_of

HOW_HEADER = "x-waiting-room-end"
END, REVOKE = "end", "revoke"


async def end_visit(request: Request) -> Response:
    """End the visit of the pass that came along; `revoke` also keeps its holder from a new place."""
    services = services_of(request)
    room = services.rooms.get(request.path_params["room"])
    how = request.headers.get(HOW_HEADER, END).strip().lower()
    if how not in (END, REVOKE):
        raise InvalidInput("`X-Waiting-Room-End` may be `end` or `revoke`.")
    headers, secure = dict(request.scope["headers"]), is_https(request)
    held = await _held_pass(request, room, secure=secure)
    act = services.visits.revoke if how == REVOKE else services.visits.leave
    await act(room, Visitor(held.epoch, held.position))
    response = Response(status_code=204, headers=NO_STORE)
    if CARRIER not in headers:
        gone = pass_cookie(room.name_bytes, b"", secure=secure, max_age_s=0)
        response.headers.append("set-cookie", gone.decode("latin-1"))
    return response


async def _held_pass(request: Request, room: Room, *, secure: bool) -> Pass:
    """The pass in the header, or the first good one in the cookies.

    Raises:
        PassRefused: there is none that holds, for this room.
        Forbidden: a page of another site asks. What a trusted proxy passes on are the headers of the visitor's own
            request to the site, which may well have come from a page elsewhere.
    """
    headers = dict(request.scope["headers"])
    carried = headers.get(CARRIER)
    if carried is None and not proxies_of(request).trusts_sender(request.scope):
        origins_of(request).check_change(headers)
    cookies = headers.get(b"cookie", b"")
    tokens = [carried] if carried is not None else passes_in_cookies(cookies, room.name_bytes, secure=secure)
    refused = PassRefused("Send the pass of the visit as `X-Waiting-Room-Pass`, or in its cookie.", reason="missing")
    for token in tokens:
        try:
            held = await services_of(request).passes.verify(token)
        except PassRefused as error:
            refused = error
            continue
        if held.room == room.name:
            return held
        refused = PassRefused(f"The pass is for the room {held.room!r}, not for this one.", reason="other_room")
    raise refused


OPERATIONS = (
    Operation(
        "POST",
        "/gate/{room}/end",
        end_visit,
        "End the visit of a pass, as the site says",
        "gate",
        {204: Answer("It has ended, and its pass counts no more; again is the same as once.")},
        description="For proxies whose site answered with `X-Waiting-Room-End`, and for the site itself.",
        headers={
            "X-Waiting-Room-Pass": "The pass of the visit, where its cookie is not sent.",
            "X-Waiting-Room-End": "`end` (the default): the visitor may queue again. `revoke`: not for a while.",
        },
        path_patterns={"room": ROOM_NAME_PATTERN},
        problems=(400, 401, 403, 404, 503),
    ),
)
