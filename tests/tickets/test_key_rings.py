"""The shared ring of pass keys: published before they sign, kept while what they signed lives, put back when lost."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import jwt
import pytest

from app.clock import SystemClock
from app.errors import Conflict, PassRefused
from app.metrics import Metrics
from app.store import Store, keys
from app.store.store import open_store
from app.tickets.keyring import KeyRing
from app.tickets.pass_keys import LONGEST_PASS_S, pass_key_secrets, pass_keys
from app.tickets.passes import Passes
from tests.support.scripts import NOW_FROM_KEY, NOW_KEY
from tests.support.servers import RealServer
from tests.support.tokens import PASS_PEM

LEAD_S = 600
START_MS = 1_700_000_000_000


class HandClock(SystemClock):
    """A clock that stands where the test puts it, for replicas and store alike."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self.now_ms = START_MS
        self.forward_s(0)

    def forward_s(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)
        self._redis.set(NOW_KEY, self.now_ms, ex=600)

    def unix_s(self) -> float:
        return self.now_ms / 1000

    def monotonic_s(self) -> float:
        return self.now_ms / 1000


@pytest.fixture
async def timed(server: RealServer) -> AsyncIterator[tuple[Store, HandClock]]:
    with server.client() as redis:
        async with AsyncExitStack() as stack:
            yield await open_store(stack, server.url, Metrics(), NOW_FROM_KEY), HandClock(redis)


async def replica(timed: tuple[Store, HandClock], algorithm: str = "EdDSA") -> tuple[KeyRing, Passes]:
    store, clock = timed
    ring = KeyRing(pass_keys(algorithm, LEAD_S), (), store, clock)
    await ring.refresh()
    return ring, Passes(ring, clock, deployment="stanchion")


def issued(passes: Passes, clock: HandClock, length_s: int = 900) -> bytes:
    now_s = clock.now_ms // 1000
    return passes.issue(room="sale", epoch=1, position=1, issued_s=now_s, expires_s=now_s + length_s).token


def kid_of(token: bytes) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def published(passes: Passes) -> set[str]:
    return {key["kid"] for key in json.loads(passes.jwks_json())["keys"]}


async def test_a_new_key_is_published_for_its_whole_lead_before_it_signs(timed: tuple[Store, HandClock]) -> None:
    _, clock = timed
    ring, passes = await replica(timed)
    old = kid_of(issued(passes, clock))
    new, signs_in_ms = await ring.rotate()
    assert signs_in_ms == LEAD_S * 1000
    assert published(passes) == {old, new}
    clock.forward_s(LEAD_S - 1)
    await ring.refresh()
    assert kid_of(issued(passes, clock)) == old
    clock.forward_s(1)
    await ring.refresh()
    assert kid_of(issued(passes, clock)) == new


async def test_replicas_share_the_keys_and_read_each_others_passes(timed: tuple[Store, HandClock]) -> None:
    _, clock = timed
    (one, of_one), (_, of_other) = await replica(timed), await replica(timed)
    assert published(of_one) == published(of_other)
    await one.rotate()
    clock.forward_s(LEAD_S)
    await one.refresh()
    token = issued(of_one, clock)  # the other has not refreshed since, and asks for the key it does not know
    assert (await of_other.verify(token)).position == 1


async def test_a_key_stays_until_the_longest_pass_it_could_have_signed_is_over(timed: tuple[Store, HandClock]) -> None:
    _, clock = timed
    ring, passes = await replica(timed)
    await ring.rotate()
    clock.forward_s(LEAD_S - 0.001)
    await ring.refresh()
    last = issued(passes, clock, LONGEST_PASS_S)
    clock.forward_s(LONGEST_PASS_S - 1)
    await ring.refresh()
    assert kid_of(last) in published(passes)
    _, elsewhere = await replica(timed)
    assert (await elsewhere.verify(last)).room == "sale"
    clock.forward_s(60)
    await ring.refresh()
    assert published(passes) == {kid_of(issued(passes, clock))}
    with pytest.raises(PassRefused):
        await (await replica(timed))[1].verify(last)


async def test_what_the_store_lost_is_put_back_by_whoever_knows_it(
    timed: tuple[Store, HandClock], server: RealServer
) -> None:
    _, clock = timed
    ring, passes = await replica(timed)
    token = issued(passes, clock)
    with server.client() as redis:
        redis.delete(keys.PASS_KEYRING)
        await ring.refresh()
        assert set(redis.hkeys(keys.PASS_KEYRING)) == {kid_of(token)}
    assert (await (await replica(timed))[1].verify(token)).room == "sale"


async def test_another_algorithm_comes_as_a_rotation_and_only_from_who_starts_with_it(
    timed: tuple[Store, HandClock],
) -> None:
    _, clock = timed
    old_ring, old_passes = await replica(timed, "EdDSA")
    before = issued(old_passes, clock)
    ring, passes = await replica(timed, "ES256")
    await replica(timed, "ES256")  # the second to start finds the new key on its way
    algorithms = sorted(key["alg"] for key in json.loads(passes.jwks_json())["keys"])
    assert algorithms == ["ES256", "EdDSA"]
    assert jwt.get_unverified_header(issued(passes, clock))["alg"] == "EdDSA", "until the new one may sign"
    clock.forward_s(LEAD_S)
    for each in (ring, old_ring):
        await each.refresh()
    after = issued(old_passes, clock)
    assert jwt.get_unverified_header(after)["alg"] == "ES256", "replicas that have not been restarted go along"
    for token in (before, after):
        assert (await passes.verify(token)).room == "sale"
    assert len(published(old_passes)) == 2


async def test_keys_of_the_environment_never_touch_the_store(
    timed: tuple[Store, HandClock], server: RealServer
) -> None:
    store, clock = timed
    ring = KeyRing(pass_keys("EdDSA", LEAD_S), pass_key_secrets(PASS_PEM), store, clock)
    await ring.refresh()
    with server.client() as redis:
        assert not redis.exists(keys.PASS_KEYRING)
    with pytest.raises(Conflict, match="PASS_KEY_LEAD"):
        await ring.rotate()


async def test_unknown_keys_cost_one_look_a_second_however_many_strangers_ask(timed: tuple[Store, HandClock]) -> None:
    store = timed[0]
    _, passes = await replica(timed)
    trips = store._round_trips["background"]
    before = trips._value.get()
    for i in range(20):
        forged = jwt.encode({"sub": "x"}, "k" * 32, algorithm="HS256", headers={"kid": f"unknown-{i}"}).encode()
        with pytest.raises(PassRefused):
            await passes.verify(forged)
    assert trips._value.get() - before <= 1
