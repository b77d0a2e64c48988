"""Wrong tokens are counted for each address: at the dashboard's form, at the API, and wherever else the admin token opens."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from app.operators import tries
from app.operators.tries import MOST_TRIES
from app.services import Services
from tests.conftest import make_settings
from tests.support.apps import running_app
from tests.support.dashboard import TOKEN, try_token
from tests.support.servers import RealServer
from tests.support.waiting import eventually

ROOMS, STATS = "/admin/api/rooms", "/stats"
TASK_TOKEN = "task-token-for-tests"


@pytest.fixture
async def app(server: RealServer) -> AsyncIterator[tuple[httpx.AsyncClient, Services]]:
    async with running_app(make_settings(redis_url=server.url, open_routes="", task_token=TASK_TOKEN)) as running:
        await eventually(lambda: running[1].has_snapshot)
        yield running


@pytest.fixture
def client(app: tuple[httpx.AsyncClient, Services]) -> httpx.AsyncClient:
    return app[0]


async def status(client: httpx.AsyncClient, token: str | None, path: str = ROOMS) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return (await client.get(path, headers=headers)).status_code


def moved_to(client: httpx.AsyncClient, address: str) -> None:
    client._transport.client = (address, 5000)  # type: ignore[attr-defined]


async def wrong(client: httpx.AsyncClient, count: int, path: str = ROOMS) -> list[int]:
    return [await status(client, f"guess-{number}-of-the-token", path) for number in range(count)]


async def test_after_ten_wrong_tokens_not_even_the_right_one_is_looked_at(client: httpx.AsyncClient) -> None:
    assert await wrong(client, MOST_TRIES) == [401] * MOST_TRIES
    refused = await client.get(ROOMS, headers={"Authorization": f"Bearer {TOKEN}"})
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:stanchion:problem:too-many-tries")
    assert 0 < int(refused.headers["retry-after"]) <= 300
    assert (await try_token(client)).status_code == 429, "nor at the form"
    moved_to(client, "192.0.2.1")
    assert await status(client, TOKEN) == 200, "another address is another's"


async def test_wrong_tokens_at_the_form_close_the_api_as_well(client: httpx.AsyncClient) -> None:
    for _ in range(MOST_TRIES):
        assert (await try_token(client, "not-the-token")).status_code == 403
    assert await status(client, TOKEN) == 429


async def test_requests_without_a_token_and_with_the_right_one_do_not_count(client: httpx.AsyncClient) -> None:
    await wrong(client, MOST_TRIES - 1)
    for _ in range(2 * MOST_TRIES):
        assert await status(client, None) == 401
        assert await status(client, TOKEN) == 200


async def test_many_at_one_moment_are_held_to_the_same_bound(app: tuple[httpx.AsyncClient, Services]) -> None:
    client, services = app
    asked = services.metrics.round_trips.labels("request")._value
    before = asked.get()
    found = await asyncio.gather(*(status(client, f"guess-{number}-of-the-token") for number in range(60)))
    assert sorted(found) == [401] * MOST_TRIES + [429] * (60 - MOST_TRIES)
    assert asked.get() - before <= MOST_TRIES, "and a flood of them is none for the store"


async def test_replicas_count_together(client: httpx.AsyncClient, server: RealServer) -> None:
    await wrong(client, MOST_TRIES)
    async with running_app(make_settings(redis_url=server.url)) as (elsewhere, _):
        assert (await wrong(elsewhere, 1), await status(elsewhere, TOKEN)) == ([429], 429)


async def test_a_worker_with_an_old_token_keeps_out_neither_the_others_nor_the_operator(
    client: httpx.AsyncClient,
) -> None:
    assert await wrong(client, MOST_TRIES + 1, STATS) == [401] * MOST_TRIES + [429]
    assert await status(client, TASK_TOKEN, STATS) == 200
    assert await status(client, TOKEN, STATS) == 429, "the admin token is not found out this way either"
    assert await status(client, TOKEN) == 200


async def test_while_the_store_is_away_each_replica_counts_alone(own_server: RealServer) -> None:
    async with running_app(make_settings(redis_url=own_server.url)) as (client, services):
        await eventually(lambda: services.has_snapshot)
        own_server.kill()
        await eventually(lambda: not services.store_is_up)
        assert await wrong(client, MOST_TRIES) == [401] * MOST_TRIES
        assert await status(client, TOKEN, "/admin/api/overview") == 429
        moved_to(client, "192.0.2.1")
        assert await status(client, TOKEN, "/admin/api/overview") == 200


async def test_only_so_many_addresses_are_remembered(
    app: tuple[httpx.AsyncClient, Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, services = app
    monkeypatch.setattr(tries, "MAX_ADDRESSES", 3)
    for number in range(1, 9):
        moved_to(client, f"192.0.2.{number}")
        await wrong(client, 1)
    assert len(services.sign_ins.tries._known) == 3
    moved_to(client, "192.0.2.8")
    assert await wrong(client, MOST_TRIES) == [401] * (MOST_TRIES - 1) + [429]
