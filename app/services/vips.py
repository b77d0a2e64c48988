"""VIP codes: made for an operator, and taken at the gate; those for one use are taken once, by whichever replica."""

from hashlib import sha256
from secrets import token_bytes

from app.clock import Clock
from app.errors import Conflict, VipRefused
from app.rooms.operator import Operator
from app.rooms.room import Room
from app.store import Store, keys
from app.tickets.ids import TicketIds
from app.tickets.vips import Vip, VipUse, read_vip, sign_vip

SPARE_MS = 60_000
"""A used code is remembered for so long after its end, in case the clocks of replicas differ."""


class Vips:
    """The VIP codes of all rooms."""

    def __init__(self, operator: Operator, store: Store, clock: Clock) -> None:
        self._operator = operator
        self._store = store
        self._clock = clock
        self._ids = TicketIds()

    async def make(self, room: Room, count: int, lasts_s: float, who: str, *, single: bool) -> tuple[list[str], int]:
        """New codes; it stands in the room's audit log how many and by whom.

        Returns:
            The codes, and when they end, in Unix seconds.

        Raises:
            Conflict: the room has no key for them.
            StoreUnavailable: nothing was made.
        """
        secret = room.settings.gate.vip_secret
        if secret is None:
            raise Conflict(
                "This room has no key for VIP codes. Set one first: "
                f"stanchion rooms set {room.name} gate.vipSecret=$(openssl rand -hex 32)"
            )
        expires_s = int(self._clock.unix_s() + lasts_s)
        made = {"codes": count, "single": single, "expiresAt": expires_s}
        await self._operator.note(room.name, "vip-codes", who, made)
        codes = [Vip(room.name, self._ids.next(), expires_s, single, VipUse.CODE) for _ in range(count)]
        return [sign_vip(code, secret) for code in codes], expires_s

    def held(self, room: Room, token: bytes) -> Vip | None:
        """What a browser holds of a code that was taken, if it still holds."""
        return self._read(room, token, VipUse.HELD)

    def code(self, room: Room, token: str) -> Vip | None:
        """What a code says, if it holds; whether it was taken before is another matter."""
        return self._read(room, token, VipUse.CODE)

    async def taken(self, room: Room, code: Vip, taker: bytes | None) -> str | None:
        """Take a code: what its holder keeps from now on, or None when somebody else has taken it before.

        Args:
            taker: what only this browser knows: to it the answer may have been lost, so it may ask again. None when it is
                not known.

        Raises:
            StoreUnavailable: whether a code for one use was taken before cannot be known now.
        """
        secret = room.settings.gate.vip_secret
        if secret is None or (code.single and not await self._is_takers(code, taker or token_bytes())):
            return None
        return sign_vip(code._replace(use=VipUse.HELD), secret)

    async def _is_takers(self, code: Vip, taker: bytes) -> bool:
        """Whether a code for one use is this taker's, now or since before."""
        lasts_ms = round(1000 * (code.expires_s - self._clock.unix_s())) + SPARE_MS
        client, key = self._store.client, keys.room_once(code.room, f"vip:{code.code_id}")
        name = sha256(taker).hexdigest()[:32].encode()
        before = await self._store.ask(lambda: client.set(key, name, nx=True, get=True, px=lasts_ms), about=[key])
        return before in (None, name)

    def _read(self, room: Room, token: bytes | str, use: VipUse) -> Vip | None:
        secret = room.settings.gate.vip_secret
        if secret is None:
            return None
        try:
            return read_vip(token, secret, room.name, use, self._clock.unix_s())
        except VipRefused:
            return None
