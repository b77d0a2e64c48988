"""A site's public keys by URL, from a real server that rotates, fails, dawdles, floods and points elsewhere."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from app.errors import IdentityRefused, StoreUnavailable
from app.services.guests import FETCH_TIMEOUT_S, MAX_KEYS_BYTES, fetch_keys
from app.tickets.identities import Identities, IdentityRules
from app.tickets.site_keys import KEEP_S, KEEP_UNREACHABLE_S, LOOK_AGAIN_S
from tests.support.servers import free_port
from tests.support.upstreams import running_upstream
from tests.support.waiting import SLACK_S


class Site:
    """A site that signs identities, and answers for its keys as it is told."""

    def __init__(self) -> None:
        self.keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.requests: list[str] = []
        self.answer: Response | None = None
        self.url = ""

    def rotate(self, kid: str) -> None:
        """From now on there is this key and no other."""
        self.keys = {kid: ec.generate_private_key(ec.SECP256R1())}

    def jwks(self) -> dict[str, Any]:
        algorithm = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
        return {
            "keys": [
                {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "alg": "ES256", "use": "sig"}
                for kid, key in self.keys.items()
            ]
        }

    def token(self, kid: str | None = None) -> bytes:
        kid = kid or next(iter(self.keys))
        claims = {"sub": "ada", "exp": int(time.time()) + 60}
        return jwt.encode(claims, self.keys[kid], algorithm="ES256", headers={"kid": kid}).encode()

    async def handle(self, request: Request) -> Response:
        self.requests.append(request.url.path)
        await asyncio.sleep(0.05)  # so that those who come at once come together
        return self.answer or Response(json.dumps(self.jwks()), media_type="application/json")


class MovedClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_s(self) -> float:
        return time.time()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    site.rotate("first")
    with running_upstream(site.handle) as site.url:
        yield site


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def identities(clock: MovedClock) -> Identities:
    return Identities(fetch_keys, clock)


async def subject(identities: Identities, site: Site, token: bytes | None = None) -> str:
    rules = IdentityRules(secret=None, jwks=f"{site.url}/keys", issuer=None, audience=None)
    return await identities.subject(token or site.token(), rules)


async def test_a_crowd_costs_the_site_one_request(identities: Identities, site: Site) -> None:
    assert await asyncio.gather(*(subject(identities, site) for _ in range(50))) == ["ada"] * 50
    assert site.requests == ["/keys"]


async def test_keys_are_read_again_after_a_while(identities: Identities, site: Site, clock: MovedClock) -> None:
    await subject(identities, site)
    clock.now_s += KEEP_S - 1
    await subject(identities, site)
    assert len(site.requests) == 1
    clock.now_s += 2
    await subject(identities, site)
    assert len(site.requests) == 2


async def test_a_rotated_key_is_found_at_once_and_the_old_one_no_longer_holds(
    identities: Identities, site: Site, clock: MovedClock
) -> None:
    old = site.token()
    await subject(identities, site)
    site.rotate("second")
    clock.now_s += LOOK_AGAIN_S
    assert await subject(identities, site) == "ada"
    with pytest.raises(IdentityRefused) as refused:
        await subject(identities, site, old)
    assert refused.value.reason == "unknown_key"


async def test_unknown_key_ids_cost_the_site_a_request_in_ten_seconds(
    identities: Identities, site: Site, clock: MovedClock
) -> None:
    stranger = Site()
    stranger.rotate("nobody's")
    await subject(identities, site)
    clock.now_s += LOOK_AGAIN_S
    for _ in range(20):
        with pytest.raises(IdentityRefused):
            await subject(identities, site, stranger.token())
    assert len(site.requests) == 2


async def test_known_keys_outlive_a_site_that_is_down_for_a_day_and_no_longer(
    identities: Identities, site: Site, clock: MovedClock
) -> None:
    await subject(identities, site)
    site.answer = Response(status_code=500)
    for _ in range(5):
        clock.now_s += KEEP_S
        assert await subject(identities, site) == "ada"
    assert len(site.requests) == 6
    clock.now_s += KEEP_UNREACHABLE_S
    with pytest.raises(StoreUnavailable):
        await subject(identities, site)
    site.answer = None
    clock.now_s += LOOK_AGAIN_S
    assert await subject(identities, site) == "ada"


async def test_a_site_that_was_never_reached_is_tried_again_after_ten_seconds(
    identities: Identities, site: Site, clock: MovedClock
) -> None:
    up, site.url = site.url, f"http://127.0.0.1:{free_port()}"
    with pytest.raises(StoreUnavailable):
        await subject(identities, site)
    down = site.url
    site.url = up
    assert await subject(identities, site) == "ada", "another room's site is not held up by it"
    site.url = down
    clock.now_s += LOOK_AGAIN_S
    with running_upstream(site.handle, port=int(down.rpartition(":")[2])):
        assert await subject(identities, site) == "ada"


# Much longer than anybody should read, but not for ever: uvicorn goes on asking for more when the reader has gone.
async def dripping() -> AsyncIterator[bytes]:
    for _ in range(1000):
        yield b" "
        await asyncio.sleep(0.05)


async def flooding() -> AsyncIterator[bytes]:
    for _ in range(1000):
        yield b" " * 65_536
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda _: StreamingResponse(dripping()), id="drips on and on"),
        pytest.param(lambda _: StreamingResponse(flooding()), id="floods"),
        pytest.param(lambda _: Response(b" " * MAX_KEYS_BYTES + b"{}"), id="is too long"),
        pytest.param(lambda site: RedirectResponse(f"{site.url}/elsewhere"), id="points elsewhere"),
        pytest.param(lambda _: Response(status_code=204), id="says nothing"),
        pytest.param(lambda _: Response("[" * 90_000), id="is nested without end"),
        pytest.param(lambda _: Response('["keys"]'), id="is a list"),
        pytest.param(lambda _: Response('{"keys": [1, {"kty": "?"}]}'), id="has no keys"),
        pytest.param(lambda _: Response(b"\xff\xfe{}"), id="is no text"),
    ],
)
async def test_keys_cannot_be_read_from_a_site_whose_answer(identities: Identities, site: Site, answer: Any) -> None:
    site.answer = answer(site)
    started_s = time.monotonic()
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await subject(identities, site)
    assert time.monotonic() - started_s < FETCH_TIMEOUT_S + SLACK_S
    assert site.requests == ["/keys"], "asked once, and nowhere else"


@pytest.mark.parametrize("url", ["http://[", "http://127.0.0.1:99999/", "http:///", "http://\x00/"])
async def test_an_address_that_is_none_is_a_site_that_cannot_be_read(
    identities: Identities, url: str, site: Site
) -> None:
    with pytest.raises(StoreUnavailable):
        await identities.subject(site.token(), IdentityRules(None, url, None, None))


async def test_keys_of_other_kinds_do_no_harm(identities: Identities, site: Site) -> None:
    good = site.jwks()["keys"]
    strange = [{"kty": "oct", "kid": "shared", "k": "c2VjcmV0LXRoYXQtaXMtbG9uZy1lbm91Z2gtZm9yLWhzMjU2"}, {"kty": "new"}]
    site.answer = Response(json.dumps({"keys": [*strange, *good]}))
    assert await subject(identities, site) == "ada"
    forged = jwt.encode(
        {"sub": "ada", "exp": int(time.time()) + 60}, "secret-that-is-long-enough-for-hs256", "HS256", {"kid": "shared"}
    )
    with pytest.raises(IdentityRefused):
        await subject(identities, site, forged.encode())


async def test_a_token_cannot_name_the_key_it_is_checked_with(identities: Identities, site: Site) -> None:
    stranger = Site()
    stranger.rotate("first")
    headers = {"kid": "first", "jku": f"{site.url}/strangers", "jwk": stranger.jwks()["keys"][0]}
    claims = {"sub": "ada", "exp": int(time.time()) + 60}
    forged = jwt.encode(claims, stranger.keys["first"], algorithm="ES256", headers=headers)
    with pytest.raises(IdentityRefused) as refused:
        await subject(identities, site, forged.encode())
    assert refused.value.reason == "signature"
    assert site.requests == ["/keys"]
