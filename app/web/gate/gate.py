"""The gates of all rooms, ahead of the router: `/gate/{room}`, and `/gate/{room}/for/{original path}` for Envoy."""

from functools import partial
from time import perf_counter
from typing import Literal
from urllib.parse import parse_qs

from pydantic import Field
from starlette.types import Receive, Scope, Send

from app.errors import InvalidInput, StanchionError
from app.logs import get_logger
from app.rooms.room import Room
from app.services import Services
from app.settings import ROOM_NAME_PATTERN
from app.web.bodies import Wire
from app.web.context import NOSNIFF, request_id
from app.web.gate.answers import WAIT
from app.web.gate.answers import Answer as GateAnswer
from app.web.gate.asked import Asked
from app.web.gate.original import as_text
from app.web.gate.renewals import Renewals
from app.web.gate.room_gate import MODES, RoomGate
from app.web.hot import HotHandler
from app.web.operations import Answer, Operation
from app.web.origins import Origins
from app.web.problems import PROBLEM_TYPE, problem_body, problem_headers, status_of
from app.web.proxies import Proxies
from app.web.rooms import unknown_room

log = get_logger(__name__)

PREFIX = "/gate/"
BEHIND = "for/"
"""What the visitor's path stands behind: no path of a site's may be taken for a route of ours, such as a visit's `end`."""


class Gate:
    """The gates of one replica: `find` is asked before the router."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._proxies = Proxies(services.settings)
        self._origins = Origins(services.settings)
        self._renewals = Renewals(services.visits, services.clock)
        self._series = services.metrics.hot.series("gate")
        self._tally = services.metrics.gate
        self._gates: dict[str, RoomGate] = {}
        self._handlers: dict[tuple[str, bool], HotHandler] = {}
        self._warned = False
        self._fill()

    def _fill(self) -> None:
        services = self._services
        self._generation = services.rooms.generation
        known, self._gates = self._gates, {}
        for room in services.rooms.all():
            gate = known.get(room.name)
            if gate is None or gate.room is not room:
                gate = RoomGate(room, services, self._renewals, self._origins)
            self._gates[room.name] = gate
        self._handlers = {
            (name, behind): partial(self._handle, gate, behind)
            for name, gate in self._gates.items()
            for behind in (False, True)
        }

    def find(self, scope: Scope) -> HotHandler | None:
        """The handler of a request to a gate of a room that there is; what else lies below it is the router's."""
        path: str = scope["path"]
        if not path.startswith(PREFIX):
            return None
        if self._generation != self._services.rooms.generation:  # a room has come or gone
            self._fill()
        name, slash, rest = path[len(PREFIX) :].partition("/")
        if slash and not rest.startswith(BEHIND):
            return None
        return self._handlers.get((name, bool(slash)))

    async def _handle(self, gate: RoomGate, behind: bool, scope: Scope, _: Receive, send: Send) -> None:
        started_s = perf_counter()
        asked, mode = Asked(scope, self._proxies), ""
        try:
            if behind:
                asked.tells_by_path(_uri_behind(gate.room, scope))
            elif scope["query_string"]:
                mode = _mode(scope["query_string"])
            answer = await gate.answer(asked, mode)
        except Exception as error:
            answer = _refusal(error)
        if not self._warned and asked.by_untrusted_proxy:
            self._warn(scope)
        verdict, status, body, own = answer
        own += (
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", request_id(asked.headers.get(b"x-request-id", b""))),
        )
        if body:  # each header costs uvicorn half a microsecond, and most answers are empty
            own.append(NOSNIFF)
        await send({"type": "http.response.start", "status": status, "headers": own})
        await send({"type": "http.response.body", "body": body})
        self._series.observe(status, perf_counter() - started_s)
        self._tally.count(gate.room.name, verdict)

    def _warn(self, scope: Scope) -> None:
        """Say once what otherwise is hard to find: the proxy's word is not believed."""
        self._warned = True
        client = scope.get("client")
        log.warning(
            "gate_asked_by_untrusted_proxy",
            address=client[0] if client else None,
            hint="name the proxy in TRUSTED_PROXIES; until then what it says of the visitor's request is not read",
        )


def _mode(query: bytes) -> str:
    """The `mode` of the gate's own query.

    Raises:
        InvalidInput: there is no such mode.
    """
    mode = parse_qs(query.decode("latin-1")).get("mode", [""])[-1]
    if mode not in MODES:
        raise InvalidInput("`mode` may be `status` or `refuse`.")
    return mode


def _uri_behind(room: Room, scope: Scope) -> str:
    """The request target behind `/gate/{room}/for`, as it was sent; empty when the gate's own part is not plain."""
    raw: bytes = scope.get("raw_path") or b""
    own = b"/gate/" + room.name_bytes + b"/for"
    if not raw.startswith(own + b"/"):
        return ""
    query: bytes = scope["query_string"]
    return as_text(raw[len(own) :] + (b"?" + query if query else b""))


def _refusal(error: Exception) -> GateAnswer:
    if not isinstance(error, StanchionError):
        log.error("unexpected_error", exc_info=error)
        error = StanchionError("Something went wrong here.")
    status = status_of(error)
    own = [
        (name.encode(), value.encode()) for name, value in problem_headers(status, retry_after_s=error.retry_after_s)
    ]
    own.append((b"content-type", PROBLEM_TYPE.encode()))
    body = problem_body(status, error.title, error.message, kind=error.kind, extra=error.extra)
    return GateAnswer(WAIT, status, body, own)


class GateQuery(Wire):
    """How the proxy wants its answer."""

    mode: Literal["status", "refuse"] | None = Field(
        default=None,
        description="`status`: 401 for every refusal, with the page's address in a header, for proxies that cannot hand "
        "a redirect on. `refuse`: write the refusal that a `status` has announced; nobody is let through.",
    )


_HEADERS = {
    "X-Waiting-Room-Pass": "A program's pass; browsers have it as a cookie.",
    "X-Waiting-Room-Bypass": "The room's word for those who need not wait.",
}
_WHY = {
    "X-Waiting-Room": "Why: `pass`, `inline`, `bypass` or `open`.",
    "X-Waiting-Room-Session": "The session, when there is one.",
    "Set-Cookie": "The pass, when it was made or renewed.",
}
_ANSWERS = {
    200: Answer("The request may go on.", None, _WHY),
    302: Answer(
        "A browser without a pass: the waiting page; with a VIP code, first its own address again.",
        None,
        {"Location": "The page's address, with the way back.", "Set-Cookie": "What it is known by as it asks again."},
    ),
    401: Answer(
        "With `mode=status`: the request may not go on.",
        None,
        {"X-Waiting-Room-Location": "The waiting page.", "Retry-After": "Seconds until asking again makes sense."},
    ),
}
OPERATIONS = (
    Operation(
        "GET",
        "/gate/{room}",
        unknown_room,
        "May this request go on to the site?",
        "gate",
        _ANSWERS,
        description="Asked by reverse proxies, by any method; docs/gate.md says how they tell the visitor's request.",
        query=GateQuery,
        headers=_HEADERS,
        path_patterns={"room": ROOM_NAME_PATTERN},
        problems=(400, 404, 429, 503),
    ),
)
