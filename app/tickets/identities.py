"""Who a joiner is, by a token that the site has signed: HS256 with a shared key, or the site's public keys (JWKS)."""

from dataclasses import dataclass
from typing import Any

import jwt

from app.clock import Clock
from app.errors import IdentityRefused
from app.tickets.site_keys import Fetch, SiteKeys

MAX_TOKEN_BYTES = 4096
PUBLIC_ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]


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
        self._site_keys = SiteKeys(fetch, clock)

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
        key = await self._site_keys.find(rules.jwks or "", kid)
        if key is None:
            raise IdentityRefused(
                "The key that signed the identity token is not one of the site's.", reason="unknown_key"
            )
        return key, [name for name in PUBLIC_ALGORITHMS if name == key.algorithm_name]
