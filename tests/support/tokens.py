"""Tickets and passes made by hand, to see them refused."""

from typing import Any

import jwt

from app.tickets.keyring import key_id
from app.tickets.pass_keys import pass_key_secrets
from tests.conftest import SECRET


def forged(claims: dict[str, Any] | None = None, *, secret: str = SECRET, kid: str | None = None, **header: Any) -> str:
    """A ticket like a real one but for what the test changes; a claim of None is left out."""
    content = {
        "iss": "stanchion",
        "sub": "a-ticket",
        "room": "default",
        "epoch": 1,
        "pos": 1,
        "iat": 1_700_000_000,
        "exp": 4_000_000_000,
        **(claims or {}),
    }
    content = {name: value for name, value in content.items() if value is not None}
    headers = {"kid": key_id(SECRET.encode()) if kid is None else kid}
    return jwt.encode(content, secret, algorithm=header.get("alg", "HS256"), headers=headers)


PASS_PEM = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIEoQjHXLPXKLJiV8W076RaqryFOgptdqBxBRyA7x4Gv/
-----END PRIVATE KEY-----"""
"""An Ed25519 key for tests, which signs passes where a test says so."""


def forged_pass(
    claims: dict[str, Any] | None = None, *, key: Any = PASS_PEM, alg: str = "EdDSA", kid: str | None = None
) -> str:
    """A pass like a real one but for what the test changes; a claim of None is left out."""
    content = {
        "iss": "stanchion",
        "aud": "default",
        "sub": "1-1",
        "jti": "a-pass",
        "epoch": 1,
        "pos": 1,
        "iat": 1_700_000_000,
        "exp": 4_000_000_000,
        "use": "pass",
        **(claims or {}),
    }
    content = {name: value for name, value in content.items() if value is not None}
    headers = {"kid": key_id(pass_key_secrets(PASS_PEM)[0]) if kid is None else kid}
    return jwt.encode(content, key, algorithm=alg, headers=headers)
