"""VIP codes at the gate: taken from the wanted address's query once, then kept as a cookie that is checked from memory."""

from app.clock import Clock
from app.errors import StoreUnavailable
from app.rooms.room import Room
from app.services.vips import Vips
from app.web.cookies import MOST_OF_A_NAME, vip_cookie, vips_in_cookies
from app.web.gate.original import Original
from app.web.gate.visitors import Headers, opens_tab
from app.web.queries import parameter

VIP_PARAMETER = "waiting-room-vip"
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

    async def take(self, original: Original, headers: Headers, *, secure: bool) -> bytes | None:
        """The cookie for a code in the wanted address; None when there is none that holds.

        A code is taken only by somebody who opens a page: previews of links that were sent around must not use it up.
        """
        code = parameter(original.uri, VIP_PARAMETER)
        if code is None or not opens_tab(original.method, headers):
            return None
        if original.https and b"sec-fetch-mode" not in headers:  # every browser sends it over TLS, previewers do not
            return None
        try:
            taken = await self._vips.taken(self._room, code)
        except StoreUnavailable:
            return None
        if taken is None:
            return None
        token, vip = taken
        age_s = max(1, int(vip.expires_s - self._clock.unix_s()))
        return vip_cookie(self._room.name_bytes, token.encode(), secure=secure, max_age_s=age_s)
