"""VIP codes: made for an operator, and taken at the gate; those for one use are taken once, by whichever replica."""

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

    async def taken(self, room: Room, code: str) -> tuple[str, Vip] | None:
        """Take a code: what its holder keeps from now on, or None when it does not hold or was taken before.

        Raises:
            StoreUnavailable: whether a code for one use was taken before cannot be known now.
        """
        found = self._read(room, code, VipUse.CODE)
        secret = room.settings.gate.vip_secret
        if found is None or secret is None:
            return None
        if found.single and not await self._first_use(found):
            return None
        kept = found._replace(use=VipUse.HELD)
        return sign_vip(kept, secret), kept

    async def _first_use(self, code: Vip) -> bool:
        lasts_ms = round(1000 * (code.expires_s - self._clock.unix_s())) + SPARE_MS
        client, key = self._store.client, keys.room_once(code.room, f"vip:{code.code_id}")
        return bool(await self._store.ask(lambda: client.set(key, "1", nx=True, px=lasts_ms)))

    def _read(self, room: Room, token: bytes | str, use: VipUse) -> Vip | None:
        secret = room.settings.gate.vip_secret
        if secret is None:
            return None
        try:
            return read_vip(token, secret, room.name, use, self._clock.unix_s())
        except VipRefused:
            return None
