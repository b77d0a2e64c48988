"""One room's gate: who passes, who need not wait, who is admitted, who waits. No Redis command on the way."""

from app.errors import PassRefused, StoreUnavailable
from app.rooms.gate import StoreLost
from app.rooms.room import Room
from app.services import Services
from app.tickets.passes import IssuedPass, Pass
from app.web.barred import barred_for_s
from app.web.cookies import CARRIER, pass_cookie, passes_in_cookies
from app.web.entry import ENTRY_PARAMETER
from app.web.gate.addresses import GateAddresses
from app.web.gate.answers import Answer, Refusals, let_through, let_through_to
from app.web.gate.asked import Asked
from app.web.gate.bypass import SECRET_HEADER, Bypass
from app.web.gate.inline import Inline
from app.web.gate.renewals import Renewals
from app.web.gate.vip import VipDoor
from app.web.gate.visitors import Headers, is_preflight, opens_tab
from app.web.origins import Origins
from app.web.queries import parameter, without_parameter
from app.web.targets import checked_target

LOST_AFTER_MS = 3000
"""The store counts as lost when this replica has not heard of the room for so long: one slow answer opens no gate."""

MODES = frozenset({"", "status", "refuse"})


class RoomGate:
    """The gate of one room; what it takes from the settings is compiled anew when they change."""

    def __init__(self, room: Room, services: Services, renewals: Renewals, origins: Origins) -> None:
        self.room = room
        self._passes = services.passes
        self._entries = services.entries
        self._vips = services.vips
        self._clock = services.clock
        self._renewals = renewals
        self._inline = Inline(room, services.visits, services.clock)
        self._origins = origins
        self._root = services.settings.root_path
        self._compile()

    def _compile(self) -> None:
        self._settings = self.room.settings
        self._bypass = Bypass(self._settings.gate.bypass)
        self._vip = VipDoor(self.room, self._vips, self._clock)
        self._refusals = Refusals(self.room, GateAddresses(self.room, self._root), self._origins)

    async def answer(self, asked: Asked, mode: str) -> Answer:
        """What the proxy gets for one request.

        Args:
            mode: empty, `status`, or `refuse`, which only writes the refusal that a `status` has announced.
        """
        if self.room.settings is not self._settings:
            self._compile()
        if mode != "refuse":
            tokens = self._tokens(asked.headers, secure=asked.secure)
            if tokens:
                held = self._known(tokens) or await self._verified(tokens)
                if held is not None:
                    cookie = await self._prolonged(held, asked) if self._may_prolong(held, asked) else b""
                    return let_through("pass", b"%d-%d" % (held.epoch, held.position), cookie)
            let_in = await self._let_newcomer(asked, tokens, by_status=mode == "status")
            if let_in is not None:
                return let_in
        return self._refusals.answer(asked.original, asked.headers, lost=self._lost, by_status=mode == "status")

    async def _let_newcomer(self, asked: Asked, tokens: list[bytes], *, by_status: bool) -> Answer | None:
        """The ways through for who has no pass that counts: `tokens` are those that do not."""
        original, headers, secure = asked.original, asked.headers, asked.secure
        if self._need_not_wait(asked):
            return let_through("bypass")
        if self._settings.gate.page_lives_apart:
            arrived = await self._from_the_page(asked, by_status=by_status)
            if arrived is not None:
                return arrived
        if self._vip.is_open:
            if b"cookie" in headers and self._vip.is_held(headers, secure=secure):
                return let_through("bypass")
            answer = await self._vip.take(asked, by_status=by_status)
            if answer is not None:
                return answer
        if (
            self._settings.gate.inline
            and not original.proxied
            and opens_tab(original.method, headers)
            and not (self.room.bars.any and await self._keeps_out(tokens))
        ):
            admission = await self._inline.admit(headers, asked.address_for_limits)
            if admission is not None:
                return self._let_in(admission.issued, secure=secure)
        if self._lost and self._settings.gate.when_store_is_lost is StoreLost.OPEN:
            return let_through("open")
        return None

    @property
    def _lost(self) -> bool:
        """Whether nothing is known of the room: not since the start, or not for some seconds."""
        room = self.room
        return room.snapshot is None or (room.stale and room.unheard_ms() > LOST_AFTER_MS)

    def _tokens(self, headers: Headers, *, secure: bool) -> list[bytes]:
        """What might be a pass: in the header for programs, else in the cookies."""
        carried = headers.get(CARRIER)
        if carried is not None:
            return [carried]
        cookies = headers.get(b"cookie")
        if cookies is None:
            return []
        return passes_in_cookies(cookies, self.room.name_bytes, secure=secure)

    def _known(self, tokens: list[bytes]) -> Pass | None:
        """The first pass that counts of those seen before: nearly every request has one."""
        for token in tokens:
            found = self._passes.remembered(token)
            if found is not None and self._counts(found):
                return found
        return None

    async def _verified(self, tokens: list[bytes]) -> Pass | None:
        """The first pass that holds and counts, its signature verified."""
        for token in tokens:
            try:
                found = await self._passes.verify(token)
            except (PassRefused, StoreUnavailable):
                continue
            if self._counts(found):
                return found
        return None

    def _counts(self, found: Pass) -> bool:
        """Whether a good pass is this room's, and its session has not been ended as far as is known here."""
        room = self.room
        return found.room == room.name and room.counts(found.epoch, found.position, found.issued_s, found.expires_s)

    def _may_prolong(self, held: Pass, asked: Asked) -> bool:
        """Whether this request should bring its pass a later end."""
        return (
            (held.provisional or (self._settings.gate.renew_by_use and self._renewals.is_due(held)))
            and CARRIER not in asked.headers
            and not self._bypass.lets_path(asked.original.uri)  # a cookie does not go well with what caches keep
        )

    async def _prolonged(self, held: Pass, asked: Asked) -> bytes:
        """The cookie with the later end, or none while the old pass has to do."""
        fresh = await self._renewals.renewed(self.room, held)
        if fresh is None:
            return b""
        if held.provisional:
            self._inline.confirmed((held.epoch, held.position))
        return self._cookie(fresh, secure=asked.secure)

    async def _keeps_out(self, tokens: list[bytes]) -> bool:
        return await barred_for_s(self.room, self._passes, tokens, self._clock.unix_s()) > 0

    def _let_in(self, issued: IssuedPass, *, secure: bool) -> Answer:
        return let_through("inline", issued.claims.session_id.encode(), self._cookie(issued, secure=secure))

    def _cookie(self, issued: IssuedPass, *, secure: bool) -> bytes:
        age_s = issued.claims.expires_s - issued.claims.issued_s
        return pass_cookie(self.room.name_bytes, issued.token, secure=secure, max_age_s=age_s)

    async def _from_the_page(self, asked: Asked, *, by_status: bool) -> Answer | None:
        """Exchange the entry code of who comes from the waiting page on another host for the pass's cookie here."""
        original = asked.original
        code = parameter(original.uri, ENTRY_PARAMETER)
        if code is None or not opens_tab(original.method, asked.headers):
            return None
        try:
            issued = await self._entries.taken(self.room, code, original.host)
        except StoreUnavailable:
            return None
        if issued is None or not self._counts(issued.claims):  # the visit may have ended since the code was made
            return None
        session, cookie = issued.claims.session_id.encode(), self._cookie(issued, secure=asked.secure)
        # Not followed where a path could be read as another host, nor by proxies that cannot hand a redirect on.
        bare = without_parameter(original.uri, ENTRY_PARAMETER)
        address = None if by_status else checked_target(bare, self._settings, "")
        return let_through("pass", session, cookie) if address is None else let_through_to(address, session, cookie)

    def _need_not_wait(self, asked: Asked) -> bool:
        rules, original = self._bypass, asked.original
        return (
            rules.lets_path(original.uri)
            or rules.lets_method(original.method)
            or rules.lets_secret(asked.headers.get(SECRET_HEADER))
            or is_preflight(original.method, asked.headers)
            or (rules.asks_address and not original.proxied and rules.lets_address(asked.address))
        )
