"""Tickets: issuing and verifying the JWTs that carry a place in line.

Verifying is PyJWT's work. Issuing writes the compact form directly, as RFC 7515 lays it out: with the header
prepared for each key it costs a fifth of a general encoder, on the path of every join. A test has PyJWT read
what is written here.
"""

import hmac
import secrets
from json import dumps
from typing import NamedTuple

import jwt

from app.clock import Clock
from app.errors import StoreUnavailable, TicketRefused
from app.store import keys
from app.tickets.cache import VerifiedTokens
from app.tickets.compact import MAX_TOKEN_BYTES, Sealer, are_numbers, header_of
from app.tickets.keyring import REFRESH_S, KeyKind, KeyRing, SigningKey

KEY_BYTES = 32
CACHE_ENTRIES = 200_000
ALGORITHM = "HS256"
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
        self.ttl_s = ttl_s
        self._verified = VerifiedTokens(CACHE_ENTRIES, Ticket._make, clock)
        self._sealer = Sealer()
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
        ticket = Ticket(ticket_id, room, epoch, position, active_until_run_ms, issued_s, issued_s + self.ttl_s)
        token = self._sign(key, ticket)
        self._verified.put(token, ticket)
        return IssuedTicket(token, ticket)

    def renewed(self, ticket: Ticket) -> IssuedTicket | None:
        """The same place with a fresh lifetime, once half of the old one is over; None before that."""
        now_s = int(self._clock.unix_s())
        key = self._ring.signing
        if key is None or now_s < ticket.expires_s - self.ttl_s // 2:
            return None
        fresh = ticket._replace(issued_s=now_s, expires_s=now_s + self.ttl_s)
        return IssuedTicket(self._sign(key, fresh), fresh)

    def remembered(self, token: bytes) -> Ticket | None:
        """The ticket of a token that was verified before and has not expired: the hot path's first question."""
        return self._verified.get(token)

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
        self._verified.put(token, ticket)
        return ticket

    async def _key_of(self, token: bytes) -> SigningKey:
        try:
            algorithm, kid = header_of(token)
        except ValueError:
            raise TicketRefused("This is not a ticket: it cannot be read as a JWT.", reason="malformed") from None
        if algorithm != ALGORITHM:
            raise TicketRefused("Tickets are signed with HS256 and nothing else.", reason="algorithm")
        key = await self._ring.find(kid)
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
        if not are_numbers(numbers) or not all(type(text) is str for text in texts):
            raise TicketRefused("The ticket lacks what a ticket must say; join again.", reason="claims")
        ticket = Ticket(*texts, *numbers)
        if ticket.expires_s <= self._clock.unix_s():
            raise TicketRefused("The ticket has expired; join again for a new place.", reason="expired")
        return ticket

    def _sign(self, key: SigningKey, ticket: Ticket) -> bytes:
        until = b',"until":%d' % ticket.active_until_run_ms if ticket.active_until_run_ms else b""
        claims = b'{"iss":%b,"sub":"%b","room":"%b","epoch":%d,"pos":%d,"iat":%d,"exp":%d%b}' % (
            self._issuer_json,
            ticket.ticket_id.encode(),
            ticket.room.encode(),
            ticket.epoch,
            ticket.position,
            ticket.issued_s,
            ticket.expires_s,
            until,
        )
        return self._sealer.seal(ALGORITHM, key.kid, claims, lambda message: hmac.digest(key.secret, message, "sha256"))


def ticket_keys(ttl_s: int) -> KeyKind:
    """The kind of ring that tickets are signed with."""
    return KeyKind(
        name="tickets",
        store_key=keys.KEYRING,
        make=lambda: secrets.token_bytes(KEY_BYTES),
        lead_s=2 * REFRESH_S,
        keep_s=ttl_s,
        fixed_advice="The keys come from JWT_SECRET. To rotate: put a new key in front (JWT_SECRET=new,old), restart "
        "the replicas one after the other, and take the old one out after TICKET_TTL seconds.",
    )
