"""Entry codes: how a pass gets from the waiting page's host to the site's, where no cookie of the one is the other's.

A code is random, is kept in the store as a digest for a minute, and is taken once, at the host that it was made for.
"""

from hashlib import sha256
from secrets import token_urlsafe

from app.clock import Clock
from app.rooms.room import Room
from app.store import Store, keys
from app.tickets.passes import IssuedPass, Passes

LASTS_S = 60
CODE_BYTES = 18
MAX_CODE = 64


class Entries:
    """The entry codes of all rooms."""

    def __init__(self, passes: Passes, store: Store, clock: Clock) -> None:
        self._passes = passes
        self._store = store
        self._clock = clock

    async def make(self, room: Room, issued: IssuedPass, host: str) -> str:
        """A code for this pass's session, good at one host, once, for a minute.

        Raises:
            StoreUnavailable: there is none then.
        """
        code = token_urlsafe(CODE_BYTES)
        claims = issued.claims
        kept = f"{claims.epoch}:{claims.position}:{claims.expires_s}:{host}"
        client, key = self._store.client, keys.room_entry(room.name, _digest(code))
        await self._store.ask(lambda: client.set(key, kept, ex=LASTS_S))
        return code

    async def taken(self, room: Room, code: str, host: str) -> IssuedPass | None:
        """Take a code: a pass for its session, or None when it is none, was taken before, or is another host's.

        Raises:
            StoreUnavailable: that cannot be known now.
        """
        if not 0 < len(code) <= MAX_CODE:
            return None
        client, key = self._store.client, keys.room_entry(room.name, _digest(code))
        kept = await self._store.ask(lambda: client.getdel(key), about=[key])
        if kept is None:
            return None
        with self._store.reading(key):
            *numbers, made_for = kept.decode().split(":", 3)
            epoch, position, expires_s = map(int, numbers)
        now_s = int(self._clock.unix_s())
        if made_for != host or expires_s <= now_s:
            return None
        return self._passes.issue(room=room.name, epoch=epoch, position=position, issued_s=now_s, expires_s=expires_s)


def _digest(code: str) -> str:
    return sha256(code.encode()).hexdigest()[:32]
