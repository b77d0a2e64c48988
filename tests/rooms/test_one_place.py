"""One place per person, and so many joins per address."""

import asyncio
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from app.web.proxies import Proxies
from tests.conftest import make_settings
from tests.rooms.test_admission import ROOM, Visitors, bearer, shop

__all__ = ["shop"]

SITE = "the-site's-own-key-that-is-long-enough-for-hs256"


def identity(
    subject: str | None = "ada@example.org", *, key: Any = SITE, algorithm: str = "HS256", **claims: Any
) -> str:
    content = {"sub": subject, "exp": int(time.time()) + 60, **claims}
    content = {name: value for name, value in content.items() if value is not None}
    headers = {"kid": claims.pop("kid")} if "kid" in claims else None
    return jwt.encode(content, key, algorithm=algorithm, headers=headers)


async def test_the_same_person_has_the_same_place_on_every_device(shop: Visitors) -> None:
    await shop.make(maxActive=1, identity="optional", identitySecret=SITE)
    headers = {"X-Identity-Token": identity()}
    answers = await asyncio.gather(*(shop.client.post(f"{ROOM}/join", headers=headers) for _ in range(6)))
    assert {answer.json()["position"] for answer in answers} == {1}
    assert len({answer.json()["token"] for answer in answers}) == 1
    assert (await shop.join(**{"X-Identity-Token": identity("grace")}))["position"] == 2
    assert (await shop.join())["position"] == 3
    keys = [key.decode() for key in await shop.services.store.client.keys("*who:*")]
    assert len(keys) == 2
    assert not any("ada" in key or "grace" in key for key in keys)
    assert all([0 < await shop.services.store.client.ttl(key) <= 86_400 for key in keys])


async def test_a_person_whose_visit_has_ended_gets_a_new_place(shop: Visitors) -> None:
    await shop.make(maxActive=1, identity="required", identitySecret=SITE)
    headers = {"X-Identity-Token": identity()}
    place = await shop.join(**headers)
    assert (await shop.post("enter", place)).status_code == 200
    assert (await shop.join(**headers))["position"] == place["position"]
    await shop.post("leave", place)
    assert (await shop.join(**headers))["position"] == place["position"] + 1


async def test_a_room_may_require_an_identity(shop: Visitors) -> None:
    await shop.make(identity="required", identitySecret=SITE, identityIssuer="https://shop.example")
    issuer = {"iss": "https://shop.example"}
    refusals = {
        "missing": None,
        "malformed": "no-token",
        "signature": identity(key="another-key-that-is-long-enough-for-hs256", **issuer),
        "expired": identity(exp=1, **issuer),
        "claims": identity(None, **issuer),
        "too_long": identity(x="y" * 5000, **issuer),
    }
    for reason, token in refusals.items():
        refused = await shop.client.post(f"{ROOM}/join", headers={"X-Identity-Token": token} if token else {})
        assert (refused.status_code, refused.json()["reason"]) == (401, reason)
    assert (await shop.client.post(f"{ROOM}/join", headers={"X-Identity-Token": identity()})).json()[
        "reason"
    ] == "claims"
    place = await shop.join(**{"X-Identity-Token": identity(**issuer)})
    live = await shop.client.post(f"{ROOM}/join", headers=bearer(place))
    assert live.json()["position"] == place["position"], "a live ticket needs no identity again"


async def test_identities_may_be_signed_with_the_sites_public_keys(shop: Visitors) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    public = jwt.algorithms.ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    jwks = json.dumps({"keys": [{**public, "kid": "one", "alg": "ES256"}]})
    await shop.make(identity="required", identityJwks=jwks)
    token = jwt.encode({"sub": "ada", "exp": time.time() + 60}, private, algorithm="ES256", headers={"kid": "one"})
    assert (await shop.join(**{"X-Identity-Token": token}))["position"] == 1
    assert (await shop.join(**{"X-Identity-Token": token}))["position"] == 1
    stranger = jwt.encode({"sub": "ada", "exp": time.time() + 60}, private, algorithm="ES256", headers={"kid": "two"})
    refused = await shop.client.post(f"{ROOM}/join", headers={"X-Identity-Token": stranger})
    assert refused.json()["reason"] == "unknown_key"
    confused = jwt.encode({"sub": "ada", "exp": time.time() + 60}, SITE, algorithm="HS256", headers={"kid": "one"})
    refused = await shop.client.post(f"{ROOM}/join", headers={"X-Identity-Token": confused})
    assert refused.json()["reason"] == "signature"


async def test_an_address_takes_only_so_many_places_a_minute(shop: Visitors) -> None:
    await shop.make(joinsPerAddress=2)
    answers = await asyncio.gather(*(shop.client.post(f"{ROOM}/join") for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    forged = await shop.client.post(f"{ROOM}/join", headers={"X-Forwarded-For": "198.51.100.7"})
    assert forged.status_code == 429, "nobody's word but a trusted proxy's counts"
    live = next(answer.json() for answer in answers if answer.status_code == 200)
    assert (await shop.client.post(f"{ROOM}/join", headers=bearer(live))).status_code == 200


@pytest.mark.parametrize(
    ("client", "forwarded", "address"),
    [
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.7\n10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7\n\n10.0.0.2, 10.0.0.3", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("10.0.0.1", "198.51.100.7:51234", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7:51234, 10.0.0.2:80", "198.51.100.7"),
        ("10.0.0.1", "[2001:db8:1:2:3:4:5:6]:443", "2001:db8:1:2::/64"),
        ("10.0.0.1", "[2001:db8:1:2:3:4:5:6]", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "", "203.0.113.9"),
    ],
)
def test_the_address_is_what_trusted_proxies_say(client: str, forwarded: str, address: str) -> None:
    proxies = Proxies(make_settings(redis_url="redis://127.0.0.1", trusted_proxies="10.0.0.0/8"))
    lines = [(b"x-forwarded-for", line.encode()) for line in forwarded.split("\n")] if forwarded else []
    assert proxies.address({"client": (client, 1), "headers": lines}) == address
