"""What a room asks of a joiner besides waiting: who they are, and how often their address may come."""

import asyncio
import hmac

import httpx

from app.errors import IdentityRefused
from app.rooms.gatherer import NOBODY, Guest
from app.rooms.room import Room
from app.rooms.settings import IdentityRule
from app.tickets.identities import Identities, IdentityRules

FETCH_TIMEOUT_S = 3.0
MAX_KEYS_BYTES = 100_000


class Guests:
    """Turns what came with a join into what the room has to look at."""

    def __init__(self, identities: Identities, pepper: str, ticket_ttl_s: int) -> None:
        self._identities = identities
        self._pepper = pepper
        self._ticket_ttl_ms = ticket_ttl_s * 1000

    async def of(self, room: Room, identity_token: bytes | None, address: str | None) -> Guest:
        """The guest that joins.

        Args:
            address: the visitor's network address, an IPv6 one cut to its /64.

        Raises:
            IdentityRefused: the token does not hold, or the room wants one and there is none.
            StoreUnavailable: the site's keys cannot be read now.
        """
        settings = room.settings
        person = None
        if settings.identity is not IdentityRule.OFF:
            person = await self._person(room, identity_token)
        limit = settings.joins_per_address or 0
        if person is None and not limit:
            return NOBODY
        return Guest(person, self._ticket_ttl_ms, address if limit else None, limit)

    async def _person(self, room: Room, token: bytes | None) -> str | None:
        settings = room.settings
        if token is None:
            if settings.identity is IdentityRule.REQUIRED:
                raise IdentityRefused(
                    "This room wants to know who joins: send the site's token as `X-Identity-Token`.", reason="missing"
                )
            return None
        rules = IdentityRules(
            settings.identity_secret, settings.identity_jwks, settings.identity_issuer, settings.identity_audience
        )
        subject = await self._identities.subject(token, rules)
        key = self._pepper or settings.identity_secret or room.name
        return hmac.digest(key.encode(), subject.encode(), "sha256").hex()[:32]


async def fetch_keys(url: str) -> str:
    """Read a site's public keys.

    Raises:
        OSError: the site cannot be reached in time, or answers with something else.
        ValueError: the answer is not text.
    """
    try:
        # The timeout of httpx is for each read, and a slow site may make many of them.
        async with (
            asyncio.timeout(FETCH_TIMEOUT_S),
            httpx.AsyncClient(timeout=FETCH_TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise OSError(f"{url} answered {answer.status_code}")
            body = b""
            async for part in answer.aiter_raw():
                body += part
                if len(body) > MAX_KEYS_BYTES:
                    raise OSError(f"{url} answered with more than {MAX_KEYS_BYTES} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OSError(str(error)) from error
    return body.decode()
