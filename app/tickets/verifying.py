"""Verifying signed tokens: what is common to tickets and passes.

The cheap questions come first. Whoever floods a replica with made-up tokens, or comes back with one that has expired,
is refused for what the token says of itself; only one that could be ours costs the check of a signature. Refusing for
unproven words is safe, and nothing else is done by them: that they are true, the signature says. PyJWT takes the token
apart and checks it.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple

from jwt import PyJWS, PyJWTError
from jwt.algorithms import get_default_algorithms

from app.clock import Clock
from app.errors import Unauthorized
from app.tickets.cache import T, VerifiedTokens
from app.tickets.compact import MAX_TOKEN_BYTES
from app.tickets.keyring import KeyRing

CACHE_ENTRIES = 200_000
ALGORITHMS = get_default_algorithms()

_JWS = PyJWS()


class VerifyingKey(NamedTuple):
    """What one key of the ring verifies with."""

    algorithm: str
    """The only one that this key is good for."""
    key: Any
    signature_bytes: int


@dataclass(frozen=True)
class TokenKind(Generic[T]):
    """What sets one kind of token apart from the other."""

    name: str
    refused: type[Unauthorized]
    advice: str
    """What its holder does for a new one, as an imperative."""
    algorithms: tuple[str, ...]
    """By which any of them is signed."""
    required: frozenset[str]
    """The claims without which it is none."""
    read: Callable[[Mapping[str, Any]], T | None]
    """What the required claims say, and others; None when they are not what they must be."""
    make: Callable[[Iterable[Any]], T]
    """What was read, from its parts."""
    key: Callable[[bytes], VerifyingKey]
    """The key of what the ring stores."""


class Verifier(Generic[T]):
    """The verifier of one deployment's tokens of one kind. It remembers those that held, and only those."""

    def __init__(self, kind: TokenKind[T], ring: KeyRing, clock: Clock, *, deployment: str) -> None:
        self._kind = kind
        self._ring = ring
        self._clock = clock
        self._deployment = deployment
        verified = VerifiedTokens(CACHE_ENTRIES, kind.make, clock)
        self.remembered = verified.get
        """What a token says that was verified before and has not expired: the hot path's first question."""
        self.remember = verified.put
        """Remember what a token says that was signed here."""

    async def verify(self, token: bytes) -> T:
        """What a token says that holds.

        Raises:
            Unauthorized: the kind's own, with a `reason`: too_long, malformed, algorithm, unknown_key, claims,
                other_deployment, expired, signature.
            StoreUnavailable: the key is unknown here and the store cannot be asked for it.
        """
        known = self.remembered(token)
        if known is not None:
            return known
        name = self._kind.name
        if len(token) > MAX_TOKEN_BYTES:
            raise self._refused("too_long", f"A {name} has at most {MAX_TOKEN_BYTES} bytes.")
        try:
            parts = _JWS.decode_complete(token, options={"verify_signature": False})
            claims = json.loads(parts["payload"])
        except (PyJWTError, ValueError, RecursionError):
            raise self._refused("malformed", f"This is not a {name}: it cannot be read as a JWT.") from None
        key = await self._key_of(parts["header"])
        said = self._read(claims)
        if not _holds(token, parts["signature"], key):
            raise self._refused("signature", f"The {name}'s signature does not hold.")
        self.remember(token, said)
        return said

    async def _key_of(self, header: Mapping[str, Any]) -> VerifyingKey:
        name, algorithm = self._kind.name, header.get("alg")
        if algorithm in self._kind.algorithms:
            found = await self._ring.find(header.get("kid"))
            if found is None:
                raise self._refused(
                    "unknown_key", f"The key that signed this {name} is not known here; {self._kind.advice}."
                )
            key = self._kind.key(found.secret)
            if algorithm == key.algorithm:  # the key says how it signs; the token is not asked
                return key
        raise self._refused("algorithm", f"The {name} is not signed the way its key signs.")

    def _read(self, claims: Any) -> T:
        """What the token says, whether or not it is true."""
        name, advice = self._kind.name, self._kind.advice
        complete = isinstance(claims, dict) and self._kind.required <= claims.keys()
        if complete and claims["iss"] != self._deployment:
            raise self._refused("other_deployment", f"The {name} is of another deployment; {advice} here.")
        said = self._kind.read(claims) if complete else None
        if said is None:
            raise self._refused("claims", f"The {name} lacks what a {name} must say; {advice}.")
        if said.expires_s <= self._clock.unix_s():
            raise self._refused("expired", f"The {name} has expired; {advice}.")
        return said

    def _refused(self, reason: str, message: str) -> Unauthorized:
        return self._kind.refused(message, reason=reason)


def _holds(token: bytes, signature: bytes, key: VerifyingKey) -> bool:
    if len(signature) != key.signature_bytes:
        return False
    message = token.rpartition(b".")[0]
    return ALGORITHMS[key.algorithm].verify(message, key.key, signature)
