"""Who a joiner is, by a token that the site has signed: HS256 with a shared key, or the site's public keys (JWKS)."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import jwt

from app.clock import Clock
from app.errors import IdentityRefused, StoreUnavailable

MAX_TOKEN_BYTES = 4096
PUBLIC_ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
KEEP_KEYS_S = 300.0
LOOK_AGAIN_S = 10.0
"""An unknown key id may cost a look at the site's keys this often at most."""

Fetch = Callable[[str], Awaitable[str]]
"""Reads a URL; raises OSError or ValueError when it cannot."""


@dataclass(frozen=True)
class IdentityRules:
    """What a room accepts as an identity."""

    secret: str | None
    jwks: str | None
    issuer: str | None
    audience: str | None


class Identities:
    """The verifier of identity tokens, with the sites' public keys remembered."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, tuple[float, jwt.PyJWKSet]] = {}

    async def subject(self, token: bytes, rules: IdentityRules) -> str:
        """The `sub` of a token that holds.

        Raises:
            IdentityRefused: with a `reason`: too_long, malformed, unknown_key, signature, expired, claims.
            StoreUnavailable: the site's keys cannot be read now.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise IdentityRefused(f"An identity token has at most {MAX_TOKEN_BYTES} bytes.", reason="too_long")
        key, algorithms = await self._key_for(token, rules)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=algorithms,
                issuer=rules.issuer,
                audience=rules.audience,
                options={"require": ["sub", "exp"], "verify_iat": False, "verify_aud": rules.audience is not None},
            )
        except jwt.ExpiredSignatureError:
            raise IdentityRefused(
                "The identity token has expired; get a new one from the site.", reason="expired"
            ) from None
        except jwt.InvalidSignatureError:
            raise IdentityRefused("The identity token's signature does not hold.", reason="signature") from None
        except jwt.InvalidAlgorithmError:
            raise IdentityRefused(
                "The identity token is signed in a way not accepted here.", reason="signature"
            ) from None
        except jwt.DecodeError:
            raise IdentityRefused(
                "This is not an identity token: it cannot be read as a JWT.", reason="malformed"
            ) from None
        except jwt.PyJWTError as error:
            raise IdentityRefused(f"The identity token lacks what it must say: {error}.", reason="claims") from None
        if {"epoch", "pos"} <= claims.keys():  # where the site signs with keys that are ours as well
            raise IdentityRefused("This is a ticket or a pass, and says nothing of a person.", reason="claims")
        subject: str = claims["sub"]
        if not subject:
            raise IdentityRefused("The identity token names nobody.", reason="claims")
        return subject

    async def _key_for(self, token: bytes, rules: IdentityRules) -> tuple[Any, list[str]]:
        if rules.secret is not None:
            return rules.secret, ["HS256"]
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except jwt.PyJWTError:
            raise IdentityRefused(
                "This is not an identity token: it cannot be read as a JWT.", reason="malformed"
            ) from None
        key = _pick(await self._key_set(rules.jwks or "", KEEP_KEYS_S), kid)
        if key is None:
            key = _pick(await self._key_set(rules.jwks or "", LOOK_AGAIN_S), kid)
        if key is None:
            raise IdentityRefused(
                "The key that signed the identity token is not one of the site's.", reason="unknown_key"
            )
        return key, [name for name in PUBLIC_ALGORITHMS if name == key.algorithm_name]

    async def _key_set(self, jwks: str, fresh_s: float) -> jwt.PyJWKSet:
        now_s = self._clock.monotonic_s()
        known = self._keys.get(jwks)
        if known is not None and now_s - known[0] < fresh_s:
            return known[1]
        try:
            text = jwks if jwks.startswith("{") else await self._fetch(jwks)
            found = jwt.PyJWKSet.from_dict(json.loads(text))
        except (OSError, ValueError, jwt.PyJWTError) as error:
            if known is not None:
                return known[1]
            raise StoreUnavailable("The site's public keys cannot be read right now; try again shortly.") from error
        self._keys[jwks] = (now_s, found)
        return found


def _pick(keys: jwt.PyJWKSet, kid: str | None) -> jwt.PyJWK | None:
    matching = [key for key in keys.keys if kid is None or key.key_id == kid]
    return matching[0] if len(matching) == 1 or (matching and kid is not None) else None
