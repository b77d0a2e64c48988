"""A replica that starts: it answers nobody before it has looked at the store, and waits for no store that does not answer."""

import time

import httpx

from app.settings import Settings
from tests.conftest import make_settings
from tests.support.apps import running_app, settled
from tests.support.servers import RealServer
from tests.support.waiting import SLACK_S, eventually


async def entered(client: httpx.AsyncClient) -> tuple[dict[str, str], dict[str, str]]:
    """A visitor inside: the headers with the ticket, and those with the pass."""
    bearer = {"Authorization": f"Bearer {(await client.post('/join')).json()['token']}"}
    answer = await client.post("/rooms/default/enter", headers=bearer)
    return bearer, {"X-Waiting-Room-Pass": answer.json()["pass"]}


async def test_its_first_answers_know_of_every_visit(server: RealServer) -> None:
    settings: Settings = make_settings(redis_url=server.url, jwt_secret="")
    async with running_app(settings) as (first, services):
        await eventually(lambda: settled(services))
        (staying, good), (leaving, ended) = await entered(first), await entered(first)
        assert (await first.post("/rooms/default/leave", headers=leaving)).status_code == 204
        async with running_app(settings) as (second, _):
            assert (await second.get("/gate/default", headers=ended)).status_code == 429
            assert (await second.get("/gate/default", headers=good)).status_code == 200
            told = [(await second.get("/status", headers=ticket)).json()["status"] for ticket in (staying, leaving)]
            assert told == ["entered", "ended"]


async def test_a_store_that_does_not_answer_holds_it_up_for_a_second_at_most(own_server: RealServer) -> None:
    own_server.freeze()
    try:
        started_s = time.monotonic()
        async with running_app(make_settings(redis_url=own_server.url)) as (client, services):
            assert time.monotonic() - started_s < 1 + SLACK_S
            assert (await client.get("/livez")).status_code == 200
            assert (await client.get("/readyz")).status_code == 503
            own_server.thaw()
            await eventually(lambda: services.has_snapshot)
    finally:
        own_server.thaw()
