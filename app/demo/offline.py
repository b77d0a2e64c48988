"""Reading a pass without asking anybody: its signature, with the public keys that the service publishes."""

import asyncio
from collections.abc import Iterable, Iterator

import httpx
import jwt

from app.logs import get_logger

log = get_logger(__name__)

FETCH_EVERY_S = 30.0
"""Well within the time for which a new key is published before it signs."""
RETRY_S = 2.0
ALGORITHMS = ["EdDSA", "ES256"]


class PassReader:
    """The public keys of one service, and the room whose passes count."""

    def __init__(self, jwks_url: str, room: str, client: httpx.AsyncClient) -> None:
        self._url = jwks_url
        self._room = room
        self._client = client
        self._keys: dict[str, jwt.PyJWK] = {}

    async def follow(self) -> None:
        """Keep the keys fresh; those that were fetched last stay while the service is away."""
        while True:
            try:
                answer = await self._client.get(self._url)
                answer.raise_for_status()
                self.learn(answer.content)
                await asyncio.sleep(FETCH_EVERY_S)
            except (httpx.HTTPError, ValueError, jwt.PyJWTError) as error:
                log.warning("keys_unheard", error=repr(error))
                await asyncio.sleep(RETRY_S)

    def learn(self, jwks_json: bytes) -> None:
        """Take these keys, and no others.

        Raises:
            ValueError, jwt.PyJWTError: this is no set of keys.
        """
        self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_json(jwks_json.decode()).keys if key.key_id}

    def find_live(self, headers: Iterable[tuple[bytes, bytes]], *, secure: bool) -> bool:
        """Whether a request carries a pass that holds: one of this room, signed, and not over yet."""
        return any(self._holds(token) for token in self._tokens(headers, secure))

    def _tokens(self, headers: Iterable[tuple[bytes, bytes]], secure: bool) -> Iterator[bytes]:
        cookie = f"{'__Host-' if secure else ''}stanchion-pass-{self._room}=".encode()
        for name, value in headers:
            if name == b"x-waiting-room-pass":
                yield value
            elif name == b"cookie":
                for item in value.split(b";"):
                    if item.strip().startswith(cookie):
                        yield item.strip()[len(cookie) :]

    def _holds(self, token: bytes) -> bool:
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._room,
                options={"require": ["exp", "aud", "sub"], "verify_iat": False},
            )
        except (jwt.PyJWTError, KeyError):
            return False
        return claims.get("use") == "pass"
