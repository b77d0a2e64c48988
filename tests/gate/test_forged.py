"""Passes that are none: forged, expired, of another deployment, signed by the wrong kind of key; none opens the gate."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from json import dumps
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from app.rooms.gate import RoomGate
from app.tickets.keyring import key_id
from app.tickets.pass_keys import pass_key, pass_key_secrets
from tests.conftest import SECRET, make_settings
from tests.gate.conftest import GATE_SETTINGS, PROGRAM, Proxy, pass_cookie
from tests.support.apps import running_app, settled
from tests.support.looks import change
from tests.support.servers import RealServer
from tests.support.tokens import PASS_PEM, forged, forged_pass
from tests.support.waiting import eventually

STRANGERS_PEM = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC_BYTES = pass_key(pass_key_secrets(PASS_PEM)[0]).public.public_bytes(
    Encoding.DER, PublicFormat.SubjectPublicKeyInfo
)


def with_the_public_key_as_a_secret() -> str:
    """HS256 over the published key, for verifiers that let the token choose how it is checked."""

    def part(content: bytes) -> bytes:
        return urlsafe_b64encode(content).rstrip(b"=")

    header = {"alg": "HS256", "kid": key_id(pass_key_secrets(PASS_PEM)[0]), "typ": "JWT"}
    claims = jwt.decode(forged_pass(), options={"verify_signature": False})
    message = part(dumps(header).encode()) + b"." + part(dumps(claims).encode())
    return (message + b"." + part(hmac.digest(PUBLIC_BYTES, message, "sha256"))).decode()


NOT_PASSES = {
    "rubbish": "x",
    "empty": "",
    "dots": "..",
    "another key": forged_pass(key=STRANGERS_PEM),
    "no signature": forged_pass(key=None, alg="none"),
    "a signature cut off": forged_pass().rpartition(".")[0] + ".",
    "the public key as a secret": with_the_public_key_as_a_secret(),
    "the tickets' secret": forged_pass(key=SECRET, alg="HS256", kid=key_id(SECRET.encode())),
    "a ticket": forged(),
    "a ticket with a pass's claims": forged({"aud": "default", "use": "pass", "sub": "1-1", "jti": "x"}),
    "an unknown key id": forged_pass(kid="nobody"),
    "expired": forged_pass({"exp": 1_700_000_001}),
    "another deployment's": forged_pass({"iss": "staging"}),
    "another room's": forged_pass({"aud": "concert"}),
    "of several rooms": forged_pass({"aud": ["default", "concert"]}),
    "another use": forged_pass({"use": "vip"}),
    "no use": forged_pass({"use": None}),
    "a contradiction": forged_pass({"sub": "1-2"}),
    "no position": forged_pass({"pos": None}),
    "a negative position": forged_pass({"pos": -1, "sub": "1--1"}),
    "too long": forged_pass({"more": "x" * 3000}),
}


@pytest.fixture
async def fixed(server: RealServer) -> AsyncIterator[Proxy]:
    """A service that signs passes with a key of the test's."""
    settings = make_settings(redis_url=server.url, pass_key=PASS_PEM, **GATE_SETTINGS)
    async with running_app(settings) as (client, services):
        await eventually(lambda: settled(services))
        await change(services, "default", gate=RoomGate(inline=False))
        yield Proxy(client, services)


async def test_none_of_them_opens_the_gate_by_cookie_or_header(fixed: Proxy) -> None:
    let_through: list[Any] = []
    for name, token in NOT_PASSES.items():
        by_cookie = await fixed.ask(headers=pass_cookie({"pass": token}))
        by_header = await fixed.ask(headers={**PROGRAM, "X-Waiting-Room-Pass": token})
        by_status = await fixed.ask(mode="status", headers=pass_cookie({"pass": token}))
        found = (by_cookie.status_code, by_header.status_code, by_status.status_code)
        if found != (302, 429, 401):
            let_through.append((name, found))
    assert not let_through


async def test_an_unchanged_forgery_would_open_it(fixed: Proxy) -> None:
    assert (await fixed.ask(headers=pass_cookie({"pass": forged_pass()}))).status_code == 200
