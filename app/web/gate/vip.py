"""VIP codes at the gate: taken from the wanted address's query once, then kept as a cookie that is checked from memory.

Before a browser takes a code for one use it is given a cookie to be known by, and sent to ask again. So when the answer
to that is lost, the same browser, and no other, may take the code again. Where the proxy can hand no redirect on, at
least a proxy that asks a second replica for the same request is known by the request's id.
"""

from secrets import token_urlsafe

from app.clock import Clock
from app.errors import StoreUnavailable
from app.rooms.room import Room
from app.services.vips import Vips
from app.web.cookies import MOST_OF_A_NAME, taker_cookie, taker_in_cookies, vip_cookie, vips_in_cookies
from app.web.gate.answers import Answer, let_through, to_ask_again
from app.web.gate.asked import Asked
from app.web.gate.visitors import Headers, opens_tab
from app.web.queries import parameter, with_parameter
from app.web.targets import checked_target

VIP_PARAMETER = "waiting-room-vip"
AGAIN_PARAMETER = VIP_PARAMETER + "-again"
TAKER_S = 600
"""For how long a lost answer may be asked for again."""
TAKER_BYTES = 18
MAX_REMEMBERED = 1000


class VipDoor:
    """The VIP codes of one room, with its present key."""

    def __init__(self, room: Room, vips: Vips, clock: Clock) -> None:
        self._room = room
        self._vips = vips
        self._clock = clock
        self._held_until_s: dict[bytes, float] = {}
        self.is_open = room.settings.gate.vip_secret is not None

    def is_held(self, headers: Headers, *, secure: bool) -> bool:
        """Whether the browser keeps what it was given for a code, and that still holds."""
        for number, token in enumerate(vips_in_cookies(headers[b"cookie"], self._room.name_bytes, secure=secure)):
            until_s = self._held_until_s.get(token)
            if until_s is None:
                if number == MOST_OF_A_NAME:
                    return False
                found = self._vips.held(self._room, token)
                if found is None:
                    continue
                if len(self._held_until_s) >= MAX_REMEMBERED:
                    self._held_until_s.clear()
                until_s = self._held_until_s[token] = found.expires_s
            if until_s > self._clock.unix_s():
                return True
        return False

    async def take(self, asked: Asked, *, by_status: bool) -> Answer | None:
        """What comes of a code in the wanted address; None when there is none that holds.

        A code is taken only by somebody who opens a page: previews of links that were sent around must not use it up.
        """
        original, headers, room = asked.original, asked.headers, self._room
        token = parameter(original.uri, VIP_PARAMETER)
        if token is None or not opens_tab(original.method, headers):
            return None
        if original.https and b"sec-fetch-mode" not in headers:  # every browser sends it over TLS, previewers do not
            return None
        code = self._vips.code(room, token)
        if code is None:
            return None
        taker = taker_in_cookies(headers.get(b"cookie", b""), room.name_bytes, secure=asked.secure)
        if code.single and taker is None and not by_status:
            address = self._to_ask_again(original.uri)
            if address is not None:
                cookie = taker_cookie(
                    room.name_bytes, token_urlsafe(TAKER_BYTES).encode(), secure=asked.secure, max_age_s=TAKER_S
                )
                return to_ask_again(address, cookie)
        try:
            kept = await self._vips.taken(room, code, taker or asked.request_id)
        except StoreUnavailable:
            return None
        if kept is None:
            return None
        age_s = max(1, int(code.expires_s - self._clock.unix_s()))
        cookie = vip_cookie(room.name_bytes, kept.encode(), secure=asked.secure, max_age_s=age_s)
        return let_through("bypass", cookie=cookie)

    def _to_ask_again(self, uri: str) -> str | None:
        """The wanted address once more; None when it has been asked for again, so that nobody without cookies is sent in circles."""
        if parameter(uri, AGAIN_PARAMETER) is not None:
            return None
        return checked_target(with_parameter(uri, AGAIN_PARAMETER, "1"), self._room.settings, "")
