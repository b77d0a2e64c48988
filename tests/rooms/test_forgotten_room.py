"""A store that has forgotten the rooms is healed; until then a join is held or told to come back, never told that there is no room."""

import pytest

from app.rooms import gatherer
from tests.conftest import make_settings
from tests.support.apps import running_app, settled
from tests.support.servers import RealServer
from tests.support.waiting import eventually


async def test_a_join_just_after_the_store_forgot_the_room_is_told_to_come_back(server: RealServer) -> None:
    settings = make_settings(redis_url=server.url, refresh_interval=5)  # nothing heals while the test looks
    async with running_app(settings) as (client, services):
        await eventually(lambda: services.has_snapshot)
        with server.client() as direct:
            direct.flushall()
        refused = await client.post("/join")
        assert refused.status_code == 503, refused.text
        assert int(refused.headers["retry-after"]) >= 1


async def test_a_join_just_after_the_store_forgot_the_room_gets_a_place_once_it_is_healed(
    server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gatherer, "HOLD_S", 20.0)  # on a busy machine healing, too, takes longer than it should
    settings = make_settings(redis_url=server.url, refresh_interval=0.05)
    async with running_app(settings) as (client, services):
        await eventually(lambda: settled(services))
        first = await client.post("/join")
        with server.client() as direct:
            direct.flushall()
        again = await client.post("/join")
        assert again.is_success, again.text
        assert again.json()["position"] > first.json()["position"]
