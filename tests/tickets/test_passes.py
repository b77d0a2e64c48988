"""Passes: read by PyJWT as anyone would, and refused when anything about them is not so."""

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from app.clock import SystemClock
from app.errors import ConfigError, PassRefused, StoreUnavailable, TicketRefused
from app.settings import load_settings
from app.store import Store
from app.tickets import verifying
from app.tickets.keyring import KeyRing, key_id
from app.tickets.pass_keys import pass_key_secrets, pass_keys
from app.tickets.passes import Passes
from app.tickets.tickets import Tickets, ticket_keys
from tests.conftest import SECRET
from tests.support.tokens import PASS_PEM, forged, forged_pass

LEAD_S = 600


class MovedClock(SystemClock):
    """The machine's clock, set forward by hand."""

    ahead_s = 0.0

    def unix_s(self) -> float:
        return super().unix_s() + self.ahead_s


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def passes(store: Store, clock: MovedClock) -> Passes:
    """Signed with the one key that the tests have."""
    return Passes(
        KeyRing(pass_keys("EdDSA", LEAD_S), pass_key_secrets(PASS_PEM), store, clock), clock, deployment="stanchion"
    )


@pytest.fixture
def tickets(store: Store, clock: MovedClock) -> Tickets:
    ring = KeyRing(ticket_keys(86_400), [SECRET.encode()], store, clock)
    return Tickets(ring, clock, deployment="stanchion", ttl_s=86_400)


@pytest.fixture(params=["EdDSA", "ES256"])
async def shared(request: pytest.FixtureRequest, store: Store, clock: MovedClock) -> AsyncIterator[Passes]:
    """Signed with a random key out of the store."""
    ring = KeyRing(pass_keys(request.param, LEAD_S), (), store, clock)
    await ring.refresh()
    yield Passes(ring, clock, deployment="stanchion")


def issued(passes: Passes, **changes: Any) -> bytes:
    now_s = int(SystemClock().unix_s())
    place = {"room": "sale", "epoch": 2, "position": 7, "issued_s": now_s, "expires_s": now_s + 900, **changes}
    return passes.issue(**place).token


def unsigned(claims: bytes, **header: Any) -> str:
    """Whatever is given as claims, under the head of a pass and with what could be a signature by its length."""
    head = {"alg": "EdDSA", "kid": key_id(pass_key_secrets(PASS_PEM)[0]), "typ": "JWT", **header}
    parts = (json.dumps(head).encode(), claims, bytes(64))
    return b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in parts).decode()


def fresh(passes: Passes) -> Passes:
    """Another replica with the same keys, which remembers nothing."""
    return Passes(passes._ring, passes._verifier._clock, deployment="stanchion")


async def test_anyone_reads_a_pass_with_the_published_keys(shared: Passes) -> None:
    token = issued(shared).decode()
    published = jwt.PyJWKSet.from_json(shared.jwks_json().decode())
    key = published[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=[key.algorithm_name], audience="sale", issuer="stanchion")
    assert (claims["sub"], claims["epoch"], claims["pos"], claims["use"]) == ("2-7", 2, 7, "pass")
    assert claims["exp"] - claims["iat"] == 900
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(token, key, algorithms=[key.algorithm_name], audience="other", issuer="stanchion")


async def test_another_replica_reads_it_too_and_then_remembers_it(shared: Passes) -> None:
    token, other = issued(shared, provisional=True), fresh(shared)
    assert other.remembered(token) is None
    found = await other.verify(token)
    assert (found.room, found.session_id, found.provisional) == ("sale", "2-7", True)
    assert other.remembered(token) == found


async def test_every_pass_has_an_id_of_its_own(passes: Passes) -> None:
    first, second = [await passes.verify(issued(passes)) for _ in range(2)]
    assert first.pass_id != second.pass_id
    assert first.session_id == second.session_id


async def test_the_published_keys_hold_nothing_private(shared: Passes) -> None:
    (key,) = json.loads(shared.jwks_json())["keys"]
    assert "d" not in key
    assert (key["use"], key["alg"]) in (("sig", "EdDSA"), ("sig", "ES256"))


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("not-a-token", "malformed"),
        ("a.b.c", "malformed"),
        (forged_pass(key=Ed25519PrivateKey.generate()), "signature"),
        (forged_pass()[:-6] + "AAAAAA", "signature"),
        (forged_pass(kid="nobody-knows"), "unknown_key"),
        (jwt.encode({"sub": "1-1"}, None, algorithm="none", headers={"kid": key_id(b"x")}), "algorithm"),
        (
            jwt.encode({"sub": "1-1"}, None, algorithm="none", headers={"kid": key_id(pass_key_secrets(PASS_PEM)[0])}),
            "algorithm",
        ),
        (forged_pass({"exp": 1_700_000_001}), "expired"),
        (forged_pass({"iss": "staging"}), "other_deployment"),
        (forged_pass({"use": "ticket"}), "claims"),
        (forged_pass({"use": None}), "claims"),
        (forged_pass({"jti": None}), "claims"),
        (forged_pass({"aud": ["default", "sale"]}), "claims"),
        (forged_pass({"pos": -1, "sub": "1--1"}), "claims"),
        (forged_pass({"pos": 2**60, "sub": f"1-{2**60}"}), "claims"),
        (forged_pass({"exp": 4e9}), "claims"),
        (forged_pass({"epoch": True}), "claims"),
        (forged_pass({"sub": "1-2"}), "claims"),
        (forged_pass({"x": "y" * 3000}), "too_long"),
        (unsigned(b"[" * 1200), "malformed"),
        (unsigned(b'"a text"'), "claims"),
        (unsigned(b"\xff"), "malformed"),
        (unsigned(b"{}", alg=["EdDSA"]), "algorithm"),
    ],
    ids=(f"forgery-{number}" for number in count(1)),  # the tokens are other ones in every run
)
async def test_a_pass_that_does_not_hold_is_refused_with_the_reason(passes: Passes, token: str, reason: str) -> None:
    with pytest.raises(PassRefused) as refused:
        await passes.verify(token.encode())
    assert refused.value.reason == reason


class NoChecks:
    """Stands in for an algorithm, and says how often it was asked to check a signature."""

    def __init__(self) -> None:
        self.asked = 0

    def verify(self, message: bytes, key: Any, signature: bytes) -> bool:
        self.asked += 1
        return False


@pytest.mark.parametrize(
    ("token", "checks"),
    [
        (forged_pass({"exp": 1_700_000_001}), 0),
        (forged_pass({"iss": "staging"}), 0),
        (forged_pass({"use": "vip"}), 0),
        (forged_pass({"jti": None}), 0),
        (forged_pass({"sub": "1-2"}), 0),
        (forged_pass(kid="nobody-knows"), 0),
        (forged_pass().rpartition(".")[0] + ".AAAA", 0),
        (unsigned(b"{}"), 0),
        (forged_pass(key=Ed25519PrivateKey.generate()), 1),
    ],
    ids=("expired", "deployment", "use", "incomplete", "contradiction", "key", "short", "empty", "only the signature"),
)
async def test_only_what_could_be_a_live_pass_costs_the_check_of_a_signature(
    passes: Passes, monkeypatch: pytest.MonkeyPatch, token: str, checks: int
) -> None:
    counting = NoChecks()
    monkeypatch.setitem(verifying.ALGORITHMS, "EdDSA", counting)
    with pytest.raises(PassRefused):
        await passes.verify(token.encode())
    assert counting.asked == checks


async def test_a_flood_of_forged_passes_drives_no_good_one_out_of_memory(
    store: Store, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "CACHE_ENTRIES", 4)
    ring = KeyRing(pass_keys("EdDSA", LEAD_S), pass_key_secrets(PASS_PEM), store, clock)
    passes = Passes(ring, clock, deployment="stanchion")
    good = [issued(passes, position=position) for position in (1, 2)]
    stranger = Ed25519PrivateKey.generate()
    for number in range(20):
        with pytest.raises(PassRefused):
            await passes.verify(forged_pass({"jti": str(number)}, key=stranger).encode())
    assert all(passes.remembered(token) for token in good)
    for position in range(3, 9):
        issued(passes, position=position)
    assert not any(passes.remembered(token) for token in good), "good ones would"


async def test_of_many_good_passes_the_last_used_are_remembered_and_never_more_than_the_bound(
    store: Store, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "CACHE_ENTRIES", 10)
    ring = KeyRing(pass_keys("EdDSA", LEAD_S), pass_key_secrets(PASS_PEM), store, clock)
    passes = Passes(ring, clock, deployment="stanchion")
    in_use = issued(passes, position=1)
    others = [issued(passes, position=position) for position in range(2, 60) if passes.remembered(in_use)]
    assert len(others) == 58, "it was asked for all along"
    assert all(passes.remembered(token) for token in others[-4:])
    assert not any(passes.remembered(token) for token in others[:-9])


async def test_an_unchanged_forgery_would_hold(passes: Passes) -> None:
    assert (await passes.verify(forged_pass().encode())).room == "default"


async def test_a_pass_ends_also_where_it_is_remembered(passes: Passes, clock: MovedClock) -> None:
    token = issued(passes)
    assert passes.remembered(token) is not None
    clock.ahead_s = 901
    assert passes.remembered(token) is None
    with pytest.raises(PassRefused) as refused:
        await passes.verify(token)
    assert refused.value.reason == "expired"


PUBLIC = load_pem_private_key(PASS_PEM.encode(), None).public_key()


def hmac_signed(claims: dict[str, Any], secret: bytes, kid: str) -> bytes:
    """HS256 by hand: PyJWT itself refuses to sign with a public key."""
    import hmac

    from app.tickets.compact import Sealer

    return Sealer().seal(
        "HS256", kid, json.dumps(claims).encode(), lambda message: hmac.digest(secret, message, "sha256")
    )


@pytest.mark.parametrize(
    "secret",
    [
        PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        PUBLIC.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        PUBLIC.public_bytes(Encoding.Raw, PublicFormat.Raw),
        b"",
    ],
    ids=["pem", "der", "raw", "empty"],
)
async def test_the_public_key_is_no_secret_that_signs(passes: Passes, tickets: Tickets, secret: bytes) -> None:
    kid = key_id(pass_key_secrets(PASS_PEM)[0])
    good = jwt.decode(forged_pass(), options={"verify_signature": False})
    with pytest.raises(PassRefused) as refused:
        await passes.verify(hmac_signed(good, secret, kid))
    assert refused.value.reason == "algorithm"
    ticket = jwt.decode(forged(), options={"verify_signature": False})
    with pytest.raises(TicketRefused):
        await tickets.verify(hmac_signed(ticket, secret, kid))


async def test_a_ticket_is_no_pass_and_a_pass_is_no_ticket(passes: Passes, tickets: Tickets) -> None:
    with pytest.raises(PassRefused):
        await passes.verify(forged().encode())
    with pytest.raises(TicketRefused):
        await tickets.verify(forged_pass().encode())
    # Also when one claims everything that the other says, and names the other's key.
    everything = {"room": "default", "aud": "default", "use": "pass", "jti": "x"}
    with pytest.raises(PassRefused) as refused:
        await passes.verify(forged({**everything, "sub": "1-1"}, kid=key_id(pass_key_secrets(PASS_PEM)[0])).encode())
    assert refused.value.reason == "algorithm"
    with pytest.raises(TicketRefused) as also:
        await tickets.verify(forged_pass({"room": "default"}, kid=key_id(SECRET.encode())).encode())
    assert also.value.reason == "algorithm"


async def test_before_the_store_was_reached_nothing_is_signed_and_no_keys_are_shown(
    store: Store, clock: MovedClock
) -> None:
    passes = Passes(KeyRing(pass_keys("EdDSA", LEAD_S), (), store, clock), clock, deployment="stanchion")
    with pytest.raises(StoreUnavailable):
        issued(passes)
    with pytest.raises(StoreUnavailable):
        passes.jwks_json()


def pem_of(key: Any, encryption: Any = None) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()).decode()


@pytest.mark.parametrize(
    ("pem", "complaint"),
    [
        ("a-password", "must be a private key as PEM"),
        (pem_of(generate_private_key(SECP384R1())), "neither Ed25519 nor P-256"),
        (pem_of(Ed25519PrivateKey.generate(), BestAvailableEncryption(b"secret")), "cannot be read"),
        (PASS_PEM + PASS_PEM.replace("M", "!"), "cannot be read"),
    ],
    ids=["no key", "P-384", "locked", "broken"],
)
def test_a_key_that_cannot_be_used_is_refused_at_start_and_not_shown(pem: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings({"PASS_KEY": pem})
    assert complaint in refused.value.message
    assert "BEGIN" not in refused.value.message


async def test_of_several_given_keys_the_first_signs_and_all_verify(store: Store, clock: MovedClock) -> None:
    new = pem_of(Ed25519PrivateKey.generate())
    both = f"{new}{PASS_PEM}".replace("\n", "\\n")  # as platforms store it that allow no line ends
    passes = Passes(
        KeyRing(pass_keys("EdDSA", LEAD_S), pass_key_secrets(both), store, clock), clock, deployment="stanchion"
    )
    assert jwt.get_unverified_header(issued(passes))["kid"] == key_id(pass_key_secrets(new)[0])
    assert (await passes.verify(forged_pass().encode())).position == 1
    assert len(json.loads(passes.jwks_json())["keys"]) == 2
