"""Ticket, pass and identity token: none is taken for another, whatever it claims to be."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import OKPAlgorithm

from app.clock import SystemClock
from app.errors import IdentityRefused, Unauthorized
from app.store import Store
from app.tickets.identities import Identities, IdentityRules
from app.tickets.keyring import KeyRing, key_id
from app.tickets.pass_keys import pass_key_secrets, pass_keys
from app.tickets.passes import Passes
from app.tickets.tickets import Tickets, ticket_keys
from tests.conftest import SECRET
from tests.support.tokens import PASS_PEM, forged, forged_pass

SITE_SECRET = "what-the-site-signs-identities-with-32-bytes"
TICKET_KID, PASS_KID = key_id(SECRET.encode()), key_id(pass_key_secrets(PASS_PEM)[0])

EVERYTHING: dict[str, Any] = {
    "iss": "stanchion",
    "aud": "default",
    "room": "default",
    "sub": "1-1",
    "jti": "x",
    "epoch": 1,
    "pos": 1,
    "iat": 1_700_000_000,
    "exp": 4_000_000_000,
    "use": "pass",
}
"""What any of the three must say."""


async def no_fetch(url: str) -> str:
    raise OSError(url)


@pytest.fixture
def reads(store: Store) -> dict[str, Callable[[str], Awaitable[Any]]]:
    """Each kind's verifier."""
    clock = SystemClock()
    tickets = Tickets(
        KeyRing(ticket_keys(900), [SECRET.encode()], store, clock), clock, deployment="stanchion", ttl_s=900
    )
    ring = KeyRing(pass_keys("EdDSA", 600), pass_key_secrets(PASS_PEM), store, clock)
    passes = Passes(ring, clock, deployment="stanchion")
    identities = Identities(no_fetch, clock)
    site = IdentityRules(SITE_SECRET, None, None, None)
    return {
        "ticket": lambda token: tickets.verify(token.encode()),
        "pass": lambda token: passes.verify(token.encode()),
        "identity": lambda token: identities.subject(token.encode(), site),
    }


def signed(kind: str, kid: str) -> str:
    """A token of one kind, by its own key, that says everything and names whatever key."""
    if kind == "ticket":
        return forged({**EVERYTHING, "aud": None}, kid=kid)
    if kind == "pass":
        return forged_pass(EVERYTHING, kid=kid)
    person = {name: value for name, value in EVERYTHING.items() if name not in ("epoch", "pos")}
    return jwt.encode(person, SITE_SECRET, algorithm="HS256", headers={"kid": kid})


@pytest.mark.parametrize("kid", [TICKET_KID, PASS_KID, "site"])
@pytest.mark.parametrize("reader", ["ticket", "pass", "identity"])
@pytest.mark.parametrize("kind", ["ticket", "pass", "identity"])
async def test_a_token_is_read_as_its_own_kind_only(
    reads: dict[str, Callable[[str], Awaitable[Any]]], kind: str, reader: str, kid: str
) -> None:
    own_kid = {"ticket": TICKET_KID, "pass": PASS_KID, "identity": kid}[kind]
    if kind == reader and kid == own_kid:
        await reads[reader](signed(kind, kid))
    else:
        with pytest.raises(Unauthorized):
            await reads[reader](signed(kind, kid))


async def test_neither_is_an_identity_even_where_the_site_and_the_service_share_their_keys() -> None:
    key = load_pem_private_key(PASS_PEM.encode(), None).public_key()
    jwks = json.dumps({"keys": [{**OKPAlgorithm.to_jwk(key, as_dict=True), "kid": PASS_KID, "alg": "EdDSA"}]})  # type: ignore[arg-type]
    identities = Identities(no_fetch, SystemClock())
    for token, rules in (
        (forged_pass(), IdentityRules(None, jwks, None, "default")),
        (forged(), IdentityRules(SECRET, None, None, None)),
    ):
        with pytest.raises(IdentityRefused) as refused:
            await identities.subject(token.encode(), rules)
        assert refused.value.reason == "claims"
