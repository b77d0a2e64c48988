"""The sites' public keys, by URL or as they are: fetched seldom, kept while the site cannot be reached."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import jwt

from app.clock import Clock
from app.errors import StoreUnavailable

KEEP_S = 300.0
LOOK_AGAIN_S = 10.0
"""A fetch may be tried this often at most, whether for an unknown key id or after a failure."""
KEEP_UNREACHABLE_S = 86_400.0
"""Keys of a site that cannot be reached are good for so long after they were last read."""
MAX_SETS = 1000

Fetch = Callable[[str], Awaitable[str]]
"""Reads a URL; raises OSError or ValueError when it cannot."""


class _KeySet:
    """What is known of one site's keys."""

    def __init__(self) -> None:
        self.keys: jwt.PyJWKSet | None = None
        self.read_s = self.tried_s = float("-inf")
        self.fetching = asyncio.Lock()


class SiteKeys:
    """The public keys of every site, remembered."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._sets: dict[str, _KeySet] = {}

    async def find(self, jwks: str, kid: str | None) -> jwt.PyJWK | None:
        """The key with this id, or a lone key for a token that names none; None when the site has no such key.

        Args:
            jwks: a JWKS as JSON, or the URL of one.

        Raises:
            StoreUnavailable: the keys cannot be read now.
        """
        known = self._sets.pop(jwks, None) or _KeySet()
        self._sets[jwks] = known  # the latest used last, so that the first is the one to forget
        if len(self._sets) > MAX_SETS:
            del self._sets[next(iter(self._sets))]
        await self._refresh(jwks, known, KEEP_S)
        key = _pick(known.keys, kid)
        if key is None:
            await self._refresh(jwks, known, LOOK_AGAIN_S)
            key = _pick(known.keys, kid)
        if key is None and (known.keys is None or self._clock.monotonic_s() - known.read_s > KEEP_UNREACHABLE_S):
            raise StoreUnavailable("The site's public keys cannot be read right now; try again shortly.")
        return key

    async def _refresh(self, jwks: str, known: _KeySet, fresh_s: float) -> None:
        """Read the keys unless they are fresh, or somebody has just tried; those who come meanwhile wait for the one."""
        async with known.fetching:
            now_s = self._clock.monotonic_s()
            if now_s - known.read_s < fresh_s or now_s - known.tried_s < LOOK_AGAIN_S:
                return
            known.tried_s = now_s
            try:
                text = jwks if jwks.startswith("{") else await self._fetch(jwks)
                known.keys, known.read_s = _parse(text), now_s
            except (OSError, ValueError):
                if now_s - known.read_s > KEEP_UNREACHABLE_S:
                    known.keys = None


def _parse(text: str) -> jwt.PyJWKSet:
    """The keys that can be used here.

    Raises:
        ValueError: there are none, or this is no JWKS.
    """
    try:
        found = json.loads(text)
        if not isinstance(found, dict) or not isinstance(found.get("keys"), list):
            raise ValueError("not a JWKS")
        return jwt.PyJWKSet([key for key in found["keys"] if isinstance(key, dict)])
    except (jwt.PyJWTError, RecursionError) as error:
        raise ValueError("no usable keys") from error


def _pick(keys: jwt.PyJWKSet | None, kid: str | None) -> jwt.PyJWK | None:
    if keys is None:
        return None
    matching = [key for key in keys.keys if kid is None or key.key_id == kid]
    return matching[0] if len(matching) == 1 or (matching and kid is not None) else None
