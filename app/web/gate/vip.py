"""VIP codes at the gate: taken from the wanted address's query once, then kept as a cookie that is checked from memory."""

from urllib.parse import parse_qsl

from app.clock import Clock
from app.errors import StoreUnavailable
from app.rooms.room import Room
from app.services.vips import Vips
from app.web.cookies import vip_cookie, vips_in_cookies
from app.web.gate.original import Original
from app.web.gate.visitors import Headers, opens_tab

VIP_PARAMETER = "waiting-room-vip"
_MARK = VIP_PARAMETER + "="
MAX_REMEMBERED = 1000
MAX_TRIED = 4


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
                if number == MAX_TRIED:
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
        if _MARK not in original.uri or not opens_tab(original.method, headers):
            return None
        if original.https and b"sec-fetch-mode" not in headers:  # every browser sends it over TLS, previewers do not
            return None
        query = original.uri.partition("?")[2].partition("#")[0]
        codes = [value for name, value in parse_qsl(query, max_num_fields=200) if name == VIP_PARAMETER]
        if not codes:
            return None
        try:
            taken = await self._vips.taken(self._room, codes[-1])
        except StoreUnavailable:
            return None
        if taken is None:
            return None
        token, vip = taken
        age_s = max(1, int(vip.expires_s - self._clock.unix_s()))
        return vip_cookie(self._room.name_bytes, token.encode(), secure=secure, max_age_s=age_s)
