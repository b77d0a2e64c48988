"""The ring of keys that sign tickets: given by the environment, or random and shared through the store.

Shared keys are published two refreshes before they sign, so that every replica knows a key before it meets a
ticket signed with it; a key that signs no more still verifies for a ticket's lifetime. Each replica keeps the
ring in memory and puts back what the store has lost. Rotation works as in dex: whoever comes second finds the
new key already there and makes no other.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.clock import Clock
from app.errors import Conflict
from app.logs import get_logger
from app.store import Store, keys, load_scripts

log = get_logger(__name__)

SCRIPTS = load_scripts(Path(__file__).parent / "lua")

REFRESH_S = 2.0
KEY_BYTES = 32
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


class KeyRing:
    """The keys of this deployment as this replica knows them."""

    def __init__(self, fixed: Iterable[bytes], store: Store, clock: Clock, ticket_ttl_s: int) -> None:
        self._fixed = tuple(SigningKey(key_id(secret), secret, 0) for secret in fixed)
        self._keys = {key.kid: key for key in self._fixed}
        self._store = store
        self._clock = clock
        self._ticket_ttl_s = ticket_ttl_s
        self._signing = self._fixed[0] if self._fixed else None
        self._looked_up_s = float("-inf")

    @property
    def from_environment(self) -> bool:
        """Whether the keys are fixed by settings; then nothing is read from or written to the store."""
        return bool(self._fixed)

    @property
    def signing(self) -> SigningKey | None:
        """The key that signs now; None until the store has been reached once."""
        return self._signing

    def get(self, kid: str) -> SigningKey | None:
        """The key of this id, if it is in the ring."""
        return self._keys.get(kid)

    async def refresh(self) -> None:
        """Take over keys from the store, put back those it has lost, make the first one, drop the outlived.

        Raises:
            StoreUnavailable: the ring stays as it was.
        """
        if self._fixed:
            return
        candidate = SigningKey("", secrets.token_bytes(KEY_BYTES), 0)
        known = [item for key in self._keys.values() for item in (key.kid, key.as_json())]
        reply = await self._store.run(
            SCRIPTS["refresh_keys"],
            {"keyring": keys.KEYRING},
            {
                "keep_ms": round((self._ticket_ttl_s + 10 * REFRESH_S) * 1000),
                "first_kid": key_id(candidate.secret),
                "first_key": candidate.as_json(),
                "known": known,
            },
            purpose="background",
        )
        self._take(reply)

    async def look_up(self, kid: str) -> SigningKey | None:
        """A key that another replica may have published a moment ago; asked of the store at a bounded rate."""
        now_s = self._clock.monotonic_s()
        if self._fixed or now_s - self._looked_up_s < LOOKUP_EVERY_S:
            return None
        self._looked_up_s = now_s
        await self.refresh()
        return self._keys.get(kid)

    async def rotate(self) -> tuple[str, int]:
        """Publish a new key, which signs two refreshes later. Asking again before that changes nothing.

        Returns:
            The id of the key that comes next, and the milliseconds until it signs.

        Raises:
            Conflict: the keys come from the environment.
            StoreUnavailable: the outcome is unknown; repeating is harmless.
        """
        if self._fixed:
            raise Conflict(
                "The keys come from JWT_SECRET. To rotate: put a new key in front (JWT_SECRET=new,old), restart the "
                "replicas one after the other, and take the old one out after TICKET_TTL seconds."
            )
        secret = secrets.token_bytes(KEY_BYTES)
        reply = await self._store.run(
            SCRIPTS["rotate_key"],
            {"keyring": keys.KEYRING},
            {"kid": key_id(secret), "secret": secret.hex(), "delay_ms": round(2 * REFRESH_S * 1000)},
        )
        await self.refresh()
        log.info("key_rotated", kid=reply[1].decode(), signs_in_ms=reply[2])
        return reply[1].decode(), reply[2]

    def _take(self, reply: list[Any]) -> None:
        now_ms = reply[1]
        pairs = zip(reply[2::2], reply[3::2], strict=True)
        self._keys = {kid.decode(): SigningKey.from_json(kid.decode(), text) for kid, text in pairs}
        ready = [key for key in self._keys.values() if key.signs_from_ms <= now_ms]
        self._signing = max(ready, key=lambda key: (key.signs_from_ms, key.kid))
