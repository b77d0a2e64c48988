"""Rings of signing keys: given by the environment, or random and shared through the store.

Shared keys are published for a while before they sign, so that every replica, and whoever else checks what they
sign, knows a key before meeting its signature; a key that signs no more is kept for as long as what it signed may
live. Each replica keeps the ring in memory and puts back what the store has lost. Rotation works as in dex: whoever
comes second finds the new key already there and makes no other.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.clock import Clock
from app.errors import Conflict
from app.logs import get_logger
from app.store import Store, load_scripts

log = get_logger(__name__)

SCRIPTS = load_scripts(Path(__file__).parent / "lua")

REFRESH_S = 2.0
LOOKUP_EVERY_S = 1.0
"""Unknown key ids may cost a look-up this often at most, whatever strangers send."""


@dataclass(frozen=True)
class SigningKey:
    """One key. Times are the store's, in milliseconds since 1970."""

    kid: str
    secret: bytes
    signs_from_ms: int

    def as_json(self) -> str:
        """The stored form."""
        return json.dumps({"secret": self.secret.hex(), "signsFromMs": self.signs_from_ms})

    @classmethod
    def from_json(cls, kid: str, text: str | bytes) -> "SigningKey":
        """Read the stored form."""
        data: dict[str, Any] = json.loads(text)
        return cls(kid, bytes.fromhex(data["secret"]), data["signsFromMs"])


def key_id(secret: bytes) -> str:
    """A short public name of a key that tells nothing about it."""
    return hashlib.sha256(b"stanchion kid\0" + secret).hexdigest()[:12]


@dataclass(frozen=True)
class KeyKind:
    """What a ring is for: where it is shared, how its keys are made, and how long they are of use."""

    name: str
    """For the logs."""
    store_key: str
    make: Callable[[], bytes]
    lead_s: float
    """How long a new key is published before it signs."""
    keep_s: float
    """How long what a key has signed may be valid."""
    fixed_advice: str
    """How to rotate keys that come from the environment, as a sentence."""
    is_wanted: Callable[[bytes], bool] = lambda secret: True
    """Whether a key is such as `make` makes; if the newest is not when the service starts, a new one is made."""


class KeyRing:
    """The keys of this deployment, of one kind, as this replica knows them."""

    def __init__(self, kind: KeyKind, fixed: Iterable[bytes], store: Store, clock: Clock) -> None:
        self._kind = kind
        self._fixed = tuple(SigningKey(key_id(secret), secret, 0) for secret in fixed)
        self._keys = {key.kid: key for key in self._fixed}
        self._store = store
        self._clock = clock
        self._signing = self._fixed[0] if self._fixed else None
        self._looked_up_s = float("-inf")

    @property
    def signing(self) -> SigningKey | None:
        """The key that signs now; None until the store has been reached once."""
        return self._signing

    def all(self) -> tuple[SigningKey, ...]:
        """Every key that signs, will sign, or has signed what may still be valid."""
        return tuple(self._keys.values())

    async def refresh(self) -> None:
        """Take over keys from the store, put back those it has lost, make the first one, drop the outlived.

        Raises:
            StoreUnavailable: the ring stays as it was.
        """
        if self._fixed:
            return
        at_start = self._signing is None
        candidate = SigningKey("", self._kind.make(), 0)
        known = [item for key in self._keys.values() for item in (key.kid, key.as_json())]
        reply = await self._store.run(
            SCRIPTS["refresh_keys"],
            {"keyring": self._kind.store_key},
            {
                "keep_ms": round((self._kind.keep_s + 10 * REFRESH_S) * 1000),
                "first_kid": key_id(candidate.secret),
                "first_key": candidate.as_json(),
                "known": known,
            },
            purpose="background",
        )
        newest = self._take(reply)
        if at_start and not self._kind.is_wanted(newest.secret):
            await self.rotate()

    async def find(self, kid: object) -> SigningKey | None:
        """The key that a token names: also one that another replica may have published a moment ago.

        The store is asked for it at a bounded rate.

        Raises:
            StoreUnavailable: it would have to be asked for, and the store is away.
        """
        if not isinstance(kid, str):
            return None
        known = self._keys.get(kid)
        now_s = self._clock.monotonic_s()
        if known is not None or self._fixed or now_s - self._looked_up_s < LOOKUP_EVERY_S:
            return known
        self._looked_up_s = now_s
        await self.refresh()
        return self._keys.get(kid)

    async def rotate(self) -> tuple[str, int]:
        """Publish a new key, which signs after the kind's lead. Asking again before that changes nothing.

        Returns:
            The id of the key that comes next, and the milliseconds until it signs.

        Raises:
            Conflict: the keys come from the environment.
            StoreUnavailable: the outcome is unknown; repeating is harmless.
        """
        if self._fixed:
            raise Conflict(self._kind.fixed_advice)
        secret = self._kind.make()
        reply = await self._store.run(
            SCRIPTS["rotate_key"],
            {"keyring": self._kind.store_key},
            {"kid": key_id(secret), "secret": secret.hex(), "delay_ms": round(self._kind.lead_s * 1000)},
        )
        await self.refresh()
        log.info("key_rotated", keys=self._kind.name, kid=reply[1].decode(), signs_in_ms=reply[2])
        return reply[1].decode(), reply[2]

    def _take(self, reply: list[Any]) -> SigningKey:
        """Take over the ring as the store has it; the newest of its keys, which may yet have to wait."""
        now_ms = reply[1]
        pairs = zip(reply[2::2], reply[3::2], strict=True)
        self._keys = {kid.decode(): SigningKey.from_json(kid.decode(), text) for kid, text in pairs}
        in_order = sorted(self._keys.values(), key=lambda key: (key.signs_from_ms, key.kid))
        self._signing = [key for key in in_order if key.signs_from_ms <= now_ms][-1]
        return in_order[-1]
