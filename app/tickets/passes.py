"""Passes: what entering a room gives, and anyone can check offline with the public keys of the JWKS.

A pass names a session and when it ends; it says nothing of the person. Whether the session has been ended before its
time, only a replica knows: see `app.rooms.marks`.
"""

from json import dumps
from typing import NamedTuple

import jwt

from app.clock import Clock
from app.errors import PassRefused, StoreUnavailable
from app.tickets.cache import VerifiedTokens
from app.tickets.compact import MAX_TOKEN_BYTES, Sealer, are_numbers, header_of
from app.tickets.ids import TicketIds
from app.tickets.keyring import KeyRing
from app.tickets.pass_keys import PassKey, pass_key

CACHE_ENTRIES = 200_000
USE = "pass"
_REQUIRED = ["iss", "aud", "sub", "jti", "epoch", "pos", "iat", "exp", "use"]


class Pass(NamedTuple):
    """A verified right to be inside, as signed."""

    room: str
    pass_id: str
    """Random, one for each token."""
    epoch: int
    position: int
    issued_s: int
    expires_s: int
    """The end of the session, rounded up, in Unix seconds."""
    provisional: bool
    """Whether the session still waits to be confirmed, and is short until then."""

    @property
    def session_id(self) -> str:
        """The session's name, unique within its room."""
        return f"{self.epoch}-{self.position}"


class IssuedPass(NamedTuple):
    """A pass and the token that carries it."""

    token: bytes
    claims: Pass


class Passes:
    """The issuer and verifier of one deployment's passes."""

    def __init__(self, ring: KeyRing, clock: Clock, *, deployment: str) -> None:
        self._ring = ring
        self._clock = clock
        self._deployment = deployment
        self._issuer_json = dumps(deployment).encode()
        self._ids = TicketIds()
        self._sealer = Sealer()
        self._verified = VerifiedTokens(CACHE_ENTRIES, Pass._make, clock)
        self._jwks: tuple[tuple[str, ...], bytes] = ((), b"")

    def issue(
        self, *, room: str, epoch: int, position: int, issued_s: int, expires_s: int, provisional: bool = False
    ) -> IssuedPass:
        """Sign a pass for a session.

        Args:
            issued_s: now, by the store's clock; `expires_s`: when the session ends.

        Raises:
            StoreUnavailable: there is no signing key yet, because the store has not been reached so far.
        """
        key = self._ring.signing
        if key is None:
            raise StoreUnavailable("Passes cannot be signed before the store has been reached once; try again shortly.")
        claims = Pass(room, self._ids.next(), epoch, position, issued_s, expires_s, provisional)
        signer = pass_key(key.secret)
        token = self._sealer.seal(signer.algorithm, key.kid, self._as_json(claims), signer.sign)
        self._verified.put(token, claims)
        return IssuedPass(token, claims)

    def remembered(self, token: bytes) -> Pass | None:
        """The pass of a token that was verified before and has not expired: the hot path's first question."""
        return self._verified.get(token)

    async def verify(self, token: bytes) -> Pass:
        """The pass that a token carries: signature, issuer, and that it has not expired.

        Whether its room and session still are what they were is for the caller to ask.

        Raises:
            PassRefused: with a `reason`: too_long, malformed, algorithm, unknown_key, signature, expired,
                other_deployment, claims.
            StoreUnavailable: the key is unknown here and the store cannot be asked for it.
        """
        known = self.remembered(token)
        if known is not None:
            return known
        if len(token) > MAX_TOKEN_BYTES:
            raise PassRefused(f"A pass has at most {MAX_TOKEN_BYTES} bytes.", reason="too_long")
        claims = self._decode(token, await self._key_of(token))
        self._verified.put(token, claims)
        return claims

    def jwks_json(self) -> bytes:
        """The public keys, as the JSON that verifiers read: those that sign, will sign, or signed a live pass.

        Raises:
            StoreUnavailable: there is none yet.
        """
        ring = self._ring.all()
        if not ring:
            raise StoreUnavailable("There are no keys before the store has been reached once; try again shortly.")
        kids = tuple(key.kid for key in ring)
        if kids != self._jwks[0]:
            self._jwks = kids, dumps({"keys": [pass_key(key.secret).public_jwk(key.kid) for key in ring]}).encode()
        return self._jwks[1]

    async def _key_of(self, token: bytes) -> PassKey:
        try:
            algorithm, kid = header_of(token)
        except ValueError:
            raise PassRefused("This is not a pass: it cannot be read as a JWT.", reason="malformed") from None
        found = await self._ring.find(kid)
        if found is None:
            raise PassRefused("The key that signed this pass is not known here; enter again.", reason="unknown_key")
        key = pass_key(found.secret)
        if algorithm != key.algorithm:  # the key says how it signs; the token is not asked
            raise PassRefused("The pass is not signed the way its key signs.", reason="algorithm")
        return key

    def _decode(self, token: bytes, key: PassKey) -> Pass:
        try:
            claims = jwt.decode(
                token,
                key.public,
                algorithms=[key.algorithm],
                issuer=self._deployment,
                options={"require": _REQUIRED, "verify_iat": False, "verify_exp": False, "verify_aud": False},
            )
        except jwt.InvalidSignatureError:
            raise PassRefused("The pass's signature does not hold.", reason="signature") from None
        except jwt.InvalidIssuerError:
            raise PassRefused("The pass is of another deployment.", reason="other_deployment") from None
        except jwt.PyJWTError:
            raise PassRefused("The pass lacks what a pass must say; enter again.", reason="claims") from None
        texts, numbers = [claims["aud"], claims["jti"]], [claims[name] for name in ("epoch", "pos", "iat", "exp")]
        if not are_numbers(numbers) or not all(type(text) is str for text in texts) or claims["use"] != USE:
            raise PassRefused("The pass lacks what a pass must say; enter again.", reason="claims")
        found = Pass._make([*texts, *numbers, claims.get("provisional") is True])
        if claims["sub"] != found.session_id:
            raise PassRefused("The pass contradicts itself; enter again.", reason="claims")
        if found.expires_s <= self._clock.unix_s():
            raise PassRefused("The pass has expired; the session is over.", reason="expired")
        return found

    def _as_json(self, claims: Pass) -> bytes:
        return (
            b'{"iss":%b,"aud":"%b","sub":"%d-%d","jti":"%b","epoch":%d,"pos":%d,"iat":%d,"exp":%d,"use":"pass"%b}'
            % (
                self._issuer_json,
                claims.room.encode(),
                claims.epoch,
                claims.position,
                claims.pass_id.encode(),
                claims.epoch,
                claims.position,
                claims.issued_s,
                claims.expires_s,
                b',"provisional":true' if claims.provisional else b"",
            )
        )
