"""Passes: what entering a room gives, and anyone can check offline with the public keys of the JWKS.

A pass names a session and when it ends; it says nothing of the person. Whether the session has been ended before its
time, only a replica knows: see `app.rooms.marks`.
"""

from collections.abc import Mapping
from json import dumps
from typing import Any, NamedTuple

from app.clock import Clock
from app.errors import PassRefused, StoreUnavailable
from app.tickets.compact import Sealer, are_numbers
from app.tickets.ids import TicketIds
from app.tickets.keyring import KeyRing
from app.tickets.pass_keys import EDDSA, ES256, SIGNATURE_BYTES, pass_key
from app.tickets.verifying import TokenKind, Verifier, VerifyingKey

USE = "pass"


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


def _read(claims: Mapping[str, Any]) -> Pass | None:
    texts, numbers = [claims["aud"], claims["jti"]], [claims[name] for name in ("epoch", "pos", "iat", "exp")]
    if not are_numbers(numbers) or not all(type(text) is str for text in texts) or claims["use"] != USE:
        return None
    found = Pass._make([*texts, *numbers, claims.get("provisional") is True])
    return found if claims["sub"] == found.session_id else None


def _verifying_key(secret: bytes) -> VerifyingKey:
    key = pass_key(secret)
    return VerifyingKey(key.algorithm, key.public, SIGNATURE_BYTES)


KIND = TokenKind(
    name="pass",
    refused=PassRefused,
    advice="enter again",
    algorithms=(EDDSA, ES256),
    required=frozenset({"iss", "aud", "sub", "jti", "epoch", "pos", "iat", "exp", "use"}),
    read=_read,
    make=Pass._make,
    key=_verifying_key,
)


class Passes:
    """The issuer and verifier of one deployment's passes."""

    def __init__(self, ring: KeyRing, clock: Clock, *, deployment: str) -> None:
        self._ring = ring
        self._issuer_json = dumps(deployment).encode()
        self._ids = TicketIds()
        self._sealer = Sealer()
        self._verifier = Verifier(KIND, ring, clock, deployment=deployment)
        self.remembered = self._verifier.remembered
        """The pass of a token that was verified before and has not expired: the hot path's first question."""
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
        self._verifier.remember(token, claims)
        return IssuedPass(token, claims)

    async def verify(self, token: bytes) -> Pass:
        """The pass that a token carries: signature, issuer, and that it has not expired.

        Whether its room and session still are what they were is for the caller to ask.

        Raises:
            PassRefused, StoreUnavailable: as `Verifier.verify`.
        """
        return await self._verifier.verify(token)

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
