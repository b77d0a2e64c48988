"""Tickets: issuing and verifying the JWTs that carry a place in line."""

import hmac
import secrets
from collections.abc import Mapping
from functools import lru_cache
from json import dumps
from typing import Any, NamedTuple

from app.clock import Clock
from app.errors import StoreUnavailable, TicketRefused
from app.store import keys
from app.tickets.compact import Sealer, are_numbers
from app.tickets.keyring import REFRESH_S, KeyKind, KeyRing, SigningKey
from app.tickets.verifying import TokenKind, Verifier, VerifyingKey

KEY_BYTES = 32
ALGORITHM = "HS256"


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


def _read(claims: Mapping[str, Any]) -> Ticket | None:
    texts = [claims["sub"], claims["room"]]
    numbers = [claims["epoch"], claims["pos"], claims.get("until", 0), claims["iat"], claims["exp"]]
    if not are_numbers(numbers) or not all(type(text) is str for text in texts):
        return None
    return Ticket(*texts, *numbers)


KIND = TokenKind(
    name="ticket",
    refused=TicketRefused,
    advice="join again",
    algorithms=(ALGORITHM,),
    required=frozenset({"iss", "sub", "room", "epoch", "pos", "iat", "exp"}),
    read=_read,
    make=Ticket._make,
    key=lambda secret: VerifyingKey(ALGORITHM, secret, 32),
)


class Tickets:
    """The issuer and verifier of one deployment's tickets."""

    def __init__(self, ring: KeyRing, clock: Clock, *, deployment: str, ttl_s: int) -> None:
        self._ring = ring
        self._clock = clock
        self.ttl_s = ttl_s
        self._verifier = Verifier(KIND, ring, clock, deployment=deployment)
        self.remembered = self._verifier.remembered
        """The ticket of a token that was verified before and has not expired: the hot path's first question."""
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
        self._verifier.remember(token, ticket)
        return IssuedTicket(token, ticket)

    def renewed(self, ticket: Ticket) -> IssuedTicket | None:
        """The same place with a fresh lifetime, once half of the old one is over; None before that."""
        now_s = int(self._clock.unix_s())
        if now_s < ticket.expires_s - self.ttl_s // 2:
            return None
        key = self._ring.signing
        if key is None:
            return None
        fresh = ticket._replace(issued_s=now_s, expires_s=now_s + self.ttl_s)
        return IssuedTicket(self._sign(key, fresh), fresh)

    async def verify(self, token: bytes) -> Ticket:
        """The ticket that a token carries.

        Raises:
            TicketRefused, StoreUnavailable: as `Verifier.verify`.
        """
        return await self._verifier.verify(token)

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
        return self._sealer.seal(ALGORITHM, key.kid, claims, lambda message: _mac(key.secret, message))


def _mac(secret: bytes, message: bytes) -> bytes:
    mac = _keyed(secret).copy()
    mac.update(message)
    return mac.digest()


@lru_cache(maxsize=4)
def _keyed(secret: bytes) -> hmac.HMAC:
    """A MAC that has taken its key in already, which is half of the work; to be copied."""
    return hmac.new(secret, digestmod="sha256")


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
