"""Programs that go a visitor's whole way, as the demo's shoppers do."""

from collections.abc import AsyncIterator
from random import Random

import httpx
import pytest

from app.demo.serving import create_box_office
from app.demo.shoppers import Shopper
from app.demo.site import SiteOptions
from tests.conftest import make_settings
from tests.demo.conftest import bank_clerk
from tests.support.live import LiveApp, live_app, serving
from tests.support.looks import change
from tests.support.servers import RealServer


@pytest.fixture
async def live(server: RealServer) -> AsyncIterator[LiveApp]:
    """A service with room for one at a time."""
    settings = make_settings(
        redis_url=server.url, refresh_interval=0.02, trusted_proxies="127.0.0.1", root_path="/_queue", task_backoff=0.1
    )
    async with live_app(settings) as served:
        await change(served.services, "default", max_active=1, batches=False)
        yield served


@pytest.mark.usefixtures("quick_bank")
async def test_a_shopper_waits_enters_buys_and_leaves_room_for_the_next(
    live: LiveApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.demo.shoppers.BUYS", 1.0)
    site = create_box_office(SiteOptions(live.url), "default")
    async with serving(site) as (url, _), bank_clerk(live.url), httpx.AsyncClient(base_url=url) as client:
        first, second = (Shopper(url, Random(seed)) for seed in (1, 2))
        await first.visit(look_s=(0, 0))
        await second.visit(look_s=(0, 0))  # only one fits in: the first has made room
        assert (first.visits, second.visits) == (1, 1)
        sold = (await client.get("/tour.json")).json()["sold"]
        assert len(sold) == first.tickets + second.tickets > 0
