"""Checking Stanchion's passes offline, in Python: needs `pyjwt[crypto]`, nothing else. Used by the middlewares beside it."""

import json
import threading
import time
import urllib.request

import jwt

REFRESH_S = 300
"""How old the public keys may be before they are asked for again; a new key is published 600 s before it signs."""
COOL_DOWN_S = 10
"""Not asked for sooner than this after the last time, so that made-up keys in tokens cannot make us ask all the time."""


class Passes:
    """Who may be inside a room, by their passes. May be shared by threads."""

    def __init__(self, jwks_url: str, *, room: str, deployment: str = "stanchion") -> None:
        self._url = jwks_url
        self._room = room
        self._deployment = deployment
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked_s = self._got_s = float("-inf")
        self._lock = threading.Lock()

    def session_of(self, token: str) -> str | None:
        """The session (`sub`) of a pass that holds, else None."""
        try:
            key = self._key(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                return None
            claims = jwt.decode(
                token,
                key,  # whose algorithm it is that counts; HS256 never is one
                algorithms=["EdDSA", "ES256"],
                audience=self._room,
                issuer=self._deployment,
                leeway=5,
                options={"require": ["exp", "sub", "use"]},
            )
        except jwt.InvalidTokenError:
            return None
        return claims["sub"] if claims["use"] == "pass" else None

    def _key(self, kid: str) -> jwt.PyJWK | None:
        """The public key of that name. Old keys go on while the new ones cannot be had."""
        now_s = time.monotonic()
        wanted = kid not in self._keys or now_s - self._got_s > REFRESH_S
        if wanted and now_s - self._asked_s > COOL_DOWN_S and self._lock.acquire(blocking=not self._keys):
            try:
                if now_s > self._asked_s:  # nobody else has asked while we waited
                    self._asked_s = time.monotonic()
                    with urllib.request.urlopen(self._url, timeout=3) as answer:  # noqa: S310  # the operator's own address
                        found = jwt.PyJWKSet.from_dict(json.load(answer))
                    self._keys = {key.key_id: key for key in found.keys if key.key_id}
                    self._got_s = self._asked_s
            except (OSError, ValueError, jwt.PyJWTError):
                pass
            finally:
                self._lock.release()
        return self._keys.get(kid)


def pass_in(headers: dict[str, str], cookies: dict[str, str], room: str, *, https: bool) -> str:
    """The token that came along: as a cookie (over TLS only the one that no sibling host can set), or as a header."""
    name = f"__Host-stanchion-pass-{room}" if https else f"stanchion-pass-{room}"
    return headers.get("x-waiting-room-pass") or cookies.get(name, "")
