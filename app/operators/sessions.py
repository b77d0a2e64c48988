"""An operator's session as a cookie carries it: signed, expiring, and readable by every replica without asking the store.

The signing key is made from the admin token, so that every replica has the same and a new token signs everybody out.
The token is stretched first: whoever gets hold of one cookie must not be able to try out tokens quickly.
"""

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

SESSION_S = 12 * 3600
"""How long a sign-in lasts: a night on call."""
MAX_COOKIE_BYTES = 1000
MAX_NAME = 60


@dataclass(frozen=True)
class OperatorSession:
    """One sign-in."""

    session_id: str
    ends_s: int
    """Unix time at which it is over."""
    name: str
    """What the operator calls themselves, for the audit log; may be empty."""


def session_key(admin_token: str, deployment: str) -> bytes:
    """The key that signs sessions. Takes some 50 ms on purpose."""
    return hashlib.scrypt(
        admin_token.encode(), salt=b"stanchion operators " + deployment.encode(), n=2**14, r=8, p=1, dklen=32
    )


def new_session(name: str, now_s: float) -> OperatorSession:
    """A session that begins now."""
    return OperatorSession(secrets.token_urlsafe(12), int(now_s) + SESSION_S, name)


def seal(session: OperatorSession, key: bytes) -> str:
    """The session as a cookie's value."""
    content = json.dumps([session.session_id, session.ends_s, session.name], separators=(",", ":")).encode()
    return f"{_text(content)}.{_text(_mac(key, b'session', content))}"


def unseal(value: str, key: bytes, now_s: float) -> OperatorSession | None:
    """The session in a cookie's value; None when it is over, or not of our making."""
    if len(value) > MAX_COOKIE_BYTES:
        return None
    try:
        content, mac = (urlsafe_b64decode(part.encode("ascii") + b"==") for part in value.split("."))
    except ValueError:
        return None
    if not hmac.compare_digest(mac, _mac(key, b"session", content)):
        return None
    session = OperatorSession(*json.loads(content))
    return session if session.ends_s > now_s else None


def csrf_token(session: OperatorSession, key: bytes) -> str:
    """What the dashboard's own pages send along with every request, and no other site's page can know."""
    return _text(_mac(key, b"csrf", session.session_id.encode()))


def _mac(key: bytes, purpose: bytes, content: bytes) -> bytes:
    return hmac.new(key, purpose + b"\0" + content, hashlib.sha256).digest()


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
