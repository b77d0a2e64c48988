"""The hot routes, /join, /status and /serving, as plain ASGI ahead of the router.

Measured against a bare ASGI application, an idiomatic endpoint with metrics costs more than twice as much; the
crowd comes through here, so these are written out. Everything else about them is ordinary: the decisions are in
`app.rooms` and `app.services.visits`.
"""

from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter

from starlette.types import Receive, Scope, Send

from app.errors import StanchionError, StoreUnavailable, TicketRefused
from app.logs import get_logger
from app.metrics import HotSeries
from app.rooms.replies import barred
from app.rooms.room import Room
from app.services import Services
from app.tickets.tickets import Ticket
from app.web.barred import barred_for_s
from app.web.bodies import idempotency_key
from app.web.context import NOSNIFF, request_id
from app.web.cookies import passes_in_cookies, ticket_cookie, ticket_in_cookies
from app.web.origins import Origins
from app.web.page_forms import is_page_form, page_query
from app.web.places import render_place, render_serving
from app.web.problems import plain_problem
from app.web.proxies import Proxies

log = get_logger(__name__)

Headers = Mapping[bytes, bytes]
HotHandler = Callable[[Scope, Receive, Send], Awaitable[None]]
Answer = tuple[int, bytes, list[tuple[bytes, bytes]]]
"""Status, body, and the headers that are the route's own."""

_JSON = (b"content-type", b"application/json")
_NO_STORE = (b"cache-control", b"no-store")
_PUBLIC = (b"cache-control", b"public, max-age=1")
_ANY_ORIGIN = (b"access-control-allow-origin", b"*")


class HotRoutes:
    """The table of hot paths of one replica: `find` is asked before the router."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._visits = services.visits
        self._tickets = services.visits.tickets
        self._passes = services.passes
        self._clock = services.clock
        self._guests = services.guests
        self._settings = services.settings
        self._ceiling = services.settings.poll_ceiling
        self._origins = Origins(services.settings)
        self._proxies = Proxies(services.settings)
        self._serving: dict[str, tuple[object, bool, bytes]] = {}
        self._table: dict[tuple[str, str], HotHandler] = {}
        self._rooms = services.rooms
        self._fill_table()

    def _fill_table(self) -> None:
        self._generation = self._rooms.generation
        self._table.clear()
        for room in self._rooms.all():
            prefixes = ["/rooms/" + room.name, *([""] if room.name == "default" else [])]
            for prefix in prefixes:
                self._add("POST", prefix + "/join", "join", room, self._join)
                self._add("GET", prefix + "/status", "status", room, self._status)
                self._add("GET", prefix + "/serving", "serving", room, self._serve)
                for name in ("status", "serving"):  # the server keeps the body to itself
                    self._table["HEAD", f"{prefix}/{name}"] = self._table["GET", f"{prefix}/{name}"]

    def find(self, scope: Scope) -> HotHandler | None:
        """The handler of a request, when it is for a hot route."""
        if self._generation != self._rooms.generation:  # a room has come or gone
            self._fill_table()
        return self._table.get((scope["method"], scope["path"]))

    def _add(
        self, method: str, path: str, name: str, room: Room, answer: Callable[[Room, Scope, Headers], Awaitable[Answer]]
    ) -> None:
        series = self._services.metrics.hot.series(name)
        self._table[method, path] = self._handler(room, series, answer)
        self._table["OPTIONS", path] = self._handler(room, series, self._preflight)

    def _handler(
        self, room: Room, series: HotSeries, answer: Callable[[Room, Scope, Headers], Awaitable[Answer]]
    ) -> HotHandler:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            started_s = perf_counter()
            headers: Headers = dict(scope["headers"])
            try:
                status, body, own = await answer(room, scope, headers)
            except StanchionError as error:
                if is_page_form(headers):
                    status, body, own = _back_to_page(room, scope, [_NO_STORE], error.kind)
                else:
                    status, body, own = self._refusal(error, headers)
            except Exception as error:
                log.error("unexpected_error", exc_info=error)
                status, body, own = self._refusal(StanchionError("Something went wrong here."), headers)
            rid = request_id(headers.get(b"x-request-id", b""))
            own += ((b"content-length", b"%d" % len(body)), (b"x-request-id", rid), NOSNIFF)
            await send({"type": "http.response.start", "status": status, "headers": own})
            await send({"type": "http.response.body", "body": body})
            series.observe(status, perf_counter() - started_s)

        return handle

    async def _status(self, room: Room, scope: Scope, headers: Headers) -> Answer:
        token = self._token(room, headers)
        if token is None:
            raise TicketRefused("Send the ticket as `Authorization: Bearer …`; POST /join gives one.", reason="missing")
        ticket = self._tickets.remembered(token) or await self._tickets.verify(token)
        if ticket.room != room.name:
            raise TicketRefused(f"The ticket is for the room {ticket.room!r}, not for this one.", reason="other_room")
        room.polls += 1
        stand = self._visits.stand(room, ticket)
        renewed = self._tickets.renewed(ticket)
        body, retry_after_s = render_place(room, ticket, stand, self._ceiling, renewed.token if renewed else None)
        own = [_JSON, _NO_STORE, (b"retry-after", b"%d" % retry_after_s)]
        if b"origin" in headers:
            own += self._origins.cors_headers(headers)
        if renewed and _bearer(headers) is None:
            own.append(self._cookie(room, renewed.token, secure=self._secure(scope, headers)))
        return 200, body, own

    async def _join(self, room: Room, scope: Scope, headers: Headers) -> Answer:
        from_browser = b"origin" in headers or b"sec-fetch-site" in headers
        if from_browser:
            self._origins.check_change(headers)
        token = live = None
        if b"authorization" in headers or b"cookie" in headers:
            token, live = await self._live_ticket(room, headers)
            if live is None and room.bars.any:
                await self._check_pass(room, scope, headers)
        guest = None
        if room.asks_joiners:
            guest = lambda: self._guests.of(  # noqa: E731  # evaluated only when a new place is wanted
                room, headers.get(b"x-identity-token"), self._proxies.address(scope)
            )
        issued = await self._visits.join(room, live, idempotency_key(headers), guest)
        if issued is not None:
            token, live = issued.token, issued.ticket
        assert token is not None and live is not None  # noqa: S101  # join returns None only for a live ticket
        own = [_NO_STORE]
        page_form = is_page_form(headers)
        if (from_browser or page_form) and self._origins.from_own_page(headers):
            own.append(self._cookie(room, token, secure=self._secure(scope, headers)))
        if page_form:
            return _back_to_page(room, scope, own)
        body, retry_after_s = render_place(room, live, self._visits.stand(room, live), self._ceiling, token)
        own += [_JSON, (b"retry-after", b"%d" % retry_after_s)]
        if b"origin" in headers:
            own += self._origins.cors_headers(headers)
        return 200, body, own

    async def _serve(self, room: Room, _: Scope, __: Headers) -> Answer:
        snapshot = room.snapshot
        if snapshot is None:
            raise StoreUnavailable
        cached = self._serving.get(room.name)
        if cached is None or cached[0] is not snapshot or cached[1] is not room.stale:
            cached = (snapshot, room.stale, render_serving(room))
            self._serving[room.name] = cached
        return 200, cached[2], [_JSON, _PUBLIC, _ANY_ORIGIN]

    async def _preflight(self, _: Room, __: Scope, headers: Headers) -> Answer:
        return 204, b"", self._origins.preflight_headers(headers)

    def _token(self, room: Room, headers: Headers) -> bytes | None:
        """The ticket that came along, by bearer or cookie.

        Raises:
            TicketRefused: there is an `Authorization` that is no ticket, and no cookie. With one it may be a password
                that a proxy asks for besides, which is not for us.
        """
        token = _bearer(headers)
        if token is None:
            cookies = headers.get(b"cookie")
            token = ticket_in_cookies(cookies, room.name_bytes) if cookies else None
            if token is None and b"authorization" in headers:
                raise TicketRefused("The Authorization header must be `Bearer` and the ticket.", reason="malformed")
        return token

    async def _live_ticket(self, room: Room, headers: Headers) -> tuple[bytes | None, Ticket | None]:
        """The ticket that came along, if it holds; one that does not is no reason to refuse a new place."""
        try:
            token = self._token(room, headers)
            return token, await self._tickets.verify(token) if token else None
        except (TicketRefused, StoreUnavailable):
            return None, None

    async def _check_pass(self, room: Room, scope: Scope, headers: Headers) -> None:
        """Let nobody join who comes with the pass of a visit that was revoked."""
        secure = self._secure(scope, headers)
        tokens = passes_in_cookies(headers.get(b"cookie", b""), room.name_bytes, secure=secure)
        left_s = await barred_for_s(room, self._passes, tokens, self._clock.unix_s())
        if left_s > 0:
            raise barred(left_s)

    def _secure(self, scope: Scope, headers: Headers) -> bool:
        return self._proxies.is_https(scope, headers)

    def _cookie(self, room: Room, token: bytes, *, secure: bool) -> tuple[bytes, bytes]:
        return b"set-cookie", ticket_cookie(room.name_bytes, token, secure=secure, settings=self._settings)

    def _refusal(self, error: StanchionError, headers: Headers) -> Answer:
        status, body, own = plain_problem(error)
        return status, body, own + self._origins.cors_headers(headers)


def _bearer(headers: Headers) -> bytes | None:
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    return token.strip() if token and scheme.lower() == b"bearer" else None


def _back_to_page(room: Room, scope: Scope, own: list[tuple[bytes, bytes]], problem: str = "") -> Answer:
    """Send the browser back to the page, which then shows the place, or why there is none."""
    page = b"./" if scope["path"] == "/join" else b"../" + room.name_bytes
    return 303, b"", [*own, (b"location", page + page_query(scope, problem).encode())]
