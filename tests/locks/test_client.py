"""The Python client against the real routes."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from app.client.locks import LockClient, LockError, LockHeldError, LockLostError, LockTimeoutError
from app.settings import Settings
from tests.support.apps import running_app


@pytest.fixture
async def http(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with running_app(settings) as (client, _):
        yield client


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is taken for a second and renewed at once would be lost where the machine stands still in between."""
    monkeypatch.setattr("app.client.locks.CONFIRM_MS", 30_000)


def client_of(http: httpx.AsyncClient) -> LockClient:
    return LockClient("http://localhost:3000", transport=http._transport)


async def test_a_block_holds_the_lock_and_gives_it_back(http: httpx.AsyncClient) -> None:
    locks = client_of(http)
    async with locks.lock("a/b", owner="me") as held:
        assert held.fence > 0
        seen = await locks.look("a/b")
        assert seen["holders"][0]["owner"] == "me"
        with pytest.raises(LockHeldError) as refused:
            await locks.acquire("a/b")
        assert refused.value.retry_after_s is not None
        assert 6 < refused.value.retry_after_s <= 10, (
            "what is left of a lease that is renewed three times in its length"
        )
        with pytest.raises(LockTimeoutError):
            await locks.acquire("a/b", wait_s=0.05)
    assert not (await locks.look("a/b"))["held"]


@pytest.mark.parametrize("lock_id", [".", "..", "a/../b", "v1.2"])
async def test_dots_are_no_steps_in_the_path(http: httpx.AsyncClient, lock_id: str) -> None:
    locks = client_of(http)
    async with locks.lock(lock_id) as held:
        assert held.id == lock_id
        assert (await locks.look(lock_id))["held"]


async def test_blocks_wait_for_each_other(http: httpx.AsyncClient) -> None:
    locks = client_of(http)
    inside = 0
    fences: list[int] = []

    async def use() -> None:
        nonlocal inside
        async with locks.lock("x", wait_s=60) as held:
            inside += 1
            assert inside == 1
            fences.append(held.fence)
            await asyncio.sleep(0.001)
            inside -= 1

    await asyncio.gather(*(use() for _ in range(20)))
    assert fences == sorted(set(fences))


async def test_a_block_is_renewed_for_as_long_as_it_takes(http: httpx.AsyncClient) -> None:
    locks = client_of(http)
    async with locks.lock("x", lease_s=3.0) as held:
        await asyncio.sleep(4.3)  # longer than one renewal lasts
        assert (await locks.look("x"))["holders"][0]["fence"] == held.fence


async def test_a_block_that_loses_its_lock_is_cancelled(http: httpx.AsyncClient) -> None:
    locks = client_of(http)
    with pytest.raises(LockLostError):
        async with locks.lock("x", lease_s=1.0) as held:
            await locks.release(held)  # behind the block's back
            await asyncio.sleep(30)


async def test_a_block_that_is_left_by_an_error_gives_the_lock_back(http: httpx.AsyncClient) -> None:
    locks = client_of(http)
    with pytest.raises(ZeroDivisionError):
        async with locks.lock("x"):
            raise ZeroDivisionError
    assert not (await locks.look("x"))["held"]


async def test_a_service_that_is_away_is_a_lock_error() -> None:
    async with LockClient("http://127.0.0.1:9") as locks:
        with pytest.raises(LockError):
            await locks.acquire("x")
