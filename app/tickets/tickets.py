"""Tickets: issuing and verifying the JWTs that carry a place in line.

Verifying is PyJWT's work. Issuing writes the compact form directly, as RFC 7515 lays it out: with the header
prepared for each key it costs a fifth of a general encoder, on the path of every join. A test has PyJWT read
what is written here.
"""

import hmac
from binascii import b2a_base64
from json import dumps
from typing import Any, NamedTuple

import jwt

from app.clock import Clock
from app.errors import StoreUnavailable, TicketRefused
from app.tickets.cache import GenerationalCache
from app.tickets.keyring import KeyRing, SigningKey

MAX_TOKEN_BYTES = 2048
MAX_NUMBER = 2**53
"""Beyond this Lua would round: such a position was never given out."""
CACHE_ENTRIES = 200_000
ALGORITHM = "HS256"
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_REQUIRED = ["iss", "sub", "room", "epoch", "pos", "iat", "exp"]


class Ticket(NamedTuple):
    """A verified place in line."""

    ticket_id: str
    room: str
    epoch: int
    position: int
    active_until_run_ms: int
    """For a ticket that joined behind the edge: the room's running time that its turn lasts until; else 0."""
    issued_s: int
    expires_s: int


class IssuedTicket(NamedTuple):
    """A ticket and the token that carries it."""

    token: bytes
    ticket: Ticket


class Tickets:
    """The issuer and verifier of one deployment's tickets."""

    def __init__(self, ring: KeyRing, clock: Clock, *, deployment: str, ttl_s: int) -> None:
        self._ring = ring
        self._clock = clock
        self._deployment = deployment
        self._ttl_s = ttl_s
        # Plain tuples of plain values, which the garbage collector leaves alone: it would walk over all of them again
        # and again, and keep everybody waiting meanwhile.
        self._verified: GenerationalCache[bytes, tuple[Any, ...]] = GenerationalCache(CACHE_ENTRIES)
        self._headers: dict[str, bytes] = {}
        self._issuer_json = dumps(deployment).encode()

    def issue(
        self, *, room: str, epoch: int, position: int, active_until_run_ms: int, issued_s: int, ticket_id: str
    ) -> IssuedTicket:
        """Sign a ticket. The same place signed with the same key is the same token.

        Args:
            issued_s: when the place was taken, in Unix seconds by the store's clock.

        Raises:
            StoreUnavailable: there is no signing key yet, because the store has not been reached so far.
        """
        key = self._ring.signing
        if key is None:
            raise StoreUnavailable(
                "Tickets cannot be signed before the store has been reached once; try again shortly."
            )
        ticket = Ticket(ticket_id, room, epoch, position, active_until_run_ms, issued_s, issued_s + self._ttl_s)
        token = self._sign(key, ticket)
        self._verified.put(token, tuple(ticket))
        return IssuedTicket(token, ticket)

    def renewed(self, ticket: Ticket) -> IssuedTicket | None:
        """The same place with a fresh lifetime, once half of the old one is over; None before that."""
        now_s = int(self._clock.unix_s())
        key = self._ring.signing
        if key is None or now_s < ticket.expires_s - self._ttl_s // 2:
            return None
        fresh = ticket._replace(issued_s=now_s, expires_s=now_s + self._ttl_s)
        return IssuedTicket(self._sign(key, fresh), fresh)

    def remembered(self, token: bytes) -> Ticket | None:
        """The ticket of a token that was verified before and has not expired: the hot path's first question."""
        known = self._verified.get(token)
        if known is None:
            return None
        ticket = Ticket._make(known)
        return ticket if ticket.expires_s > self._clock.unix_s() else None

    async def verify(self, token: bytes) -> Ticket:
        """The ticket that a token carries.

        Raises:
            TicketRefused: with a `reason`: too_long, malformed, algorithm, unknown_key, signature, expired,
                other_deployment, claims.
            StoreUnavailable: the key is unknown here and the store cannot be asked for it.
        """
        known = self.remembered(token)
        if known is not None:
            return known
        if len(token) > MAX_TOKEN_BYTES:
            raise TicketRefused(f"A ticket has at most {MAX_TOKEN_BYTES} bytes.", reason="too_long")
        key = await self._key_of(token)
        ticket = self._decode(token, key)
        self._verified.put(token, tuple(ticket))
        return ticket

    async def _key_of(self, token: bytes) -> SigningKey:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise TicketRefused("This is not a ticket: it cannot be read as a JWT.", reason="malformed") from None
        if header.get("alg") != ALGORITHM:
            raise TicketRefused("Tickets are signed with HS256 and nothing else.", reason="algorithm")
        kid = header.get("kid")
        key = None
        if isinstance(kid, str):
            key = self._ring.get(kid) or await self._ring.look_up(kid)
        if key is None:
            raise TicketRefused("The key that signed this ticket is not known here; join again.", reason="unknown_key")
        return key

    def _decode(self, token: bytes, key: SigningKey) -> Ticket:
        try:
            claims = jwt.decode(
                token,
                key.secret,
                algorithms=[ALGORITHM],
                issuer=self._deployment,
                options={"require": _REQUIRED, "verify_iat": False, "verify_exp": False},
            )
        except jwt.InvalidSignatureError:
            raise TicketRefused("The ticket's signature does not hold.", reason="signature") from None
        except jwt.InvalidIssuerError:
            raise TicketRefused("The ticket is of another deployment; join here.", reason="other_deployment") from None
        except jwt.PyJWTError:
            raise TicketRefused("The ticket lacks what a ticket must say; join again.", reason="claims") from None
        numbers = [claims["epoch"], claims["pos"], claims.get("until", 0), claims["iat"], claims["exp"]]
        texts = [claims["sub"], claims["room"]]
        if not all(type(n) is int and 0 <= n <= MAX_NUMBER for n in numbers) or not all(type(t) is str for t in texts):
            raise TicketRefused("The ticket lacks what a ticket must say; join again.", reason="claims")
        ticket = Ticket(*texts, *numbers)
        if ticket.expires_s <= self._clock.unix_s():
            raise TicketRefused("The ticket has expired; join again for a new place.", reason="expired")
        return ticket

    def _sign(self, key: SigningKey, ticket: Ticket) -> bytes:
        header = self._headers.get(key.kid)
        if header is None:
            prepared = {"alg": ALGORITHM, "kid": key.kid, "typ": "JWT"}
            header = _b64(dumps(prepared, separators=(",", ":")).encode()) + b"."
            self._headers = {key.kid: header}
        until = b',"until":%d' % ticket.active_until_run_ms if ticket.active_until_run_ms else b""
        message = header + _b64(
            b'{"iss":%b,"sub":"%b","room":"%b","epoch":%d,"pos":%d,"iat":%d,"exp":%d%b}'
            % (
                self._issuer_json,
                ticket.ticket_id.encode(),
                ticket.room.encode(),
                ticket.epoch,
                ticket.position,
                ticket.issued_s,
                ticket.expires_s,
                until,
            )
        )
        return message + b"." + _b64(hmac.digest(key.secret, message, "sha256"))


def _b64(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).rstrip(b"=").translate(_URL_SAFE)
