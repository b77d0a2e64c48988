"""Replicas on machines that do not agree on the time: a pass is good at all of them for as long as it was given."""

from collections.abc import AsyncIterator

import httpx
import pytest

from app.clock import SystemClock
from app.services import Services
from app.settings import Settings
from tests.conftest import make_settings
from tests.support.apps import running_app, settled
from tests.support.servers import RealServer
from tests.support.tokens import PASS_PEM
from tests.support.waiting import eventually


class OffClock(SystemClock):
    """That of a machine whose time is wrong by so much."""

    def __init__(self, off_s: float) -> None:
        self.off_s = off_s

    def unix_s(self) -> float:
        return super().unix_s() + self.off_s


@pytest.fixture(params=[2 * 3600, -2 * 3600], ids=["two hours ahead", "two hours behind"])
async def off(server: RealServer, request: pytest.FixtureRequest) -> AsyncIterator[tuple[httpx.AsyncClient, Services]]:
    async with running_app(settings_on(server), clock=OffClock(request.param)) as (client, services):
        await eventually(lambda: settled(services))
        yield client, services


def settings_on(server: RealServer) -> Settings:
    return make_settings(redis_url=server.url, refresh_interval=0.05, pass_key=PASS_PEM)


async def passed_on(one: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
    """A visitor comes in at one replica, and the other knows their ticket and their pass."""
    ticket = (await one.post("/join")).json()["token"]
    bearer = {"Authorization": f"Bearer {ticket}"}
    assert (await other.get("/status", headers=bearer)).json()["status"] == "active"
    entered = (await one.post("/rooms/default/enter", headers=bearer)).json()
    held = {"X-Waiting-Room-Pass": entered["pass"]}
    assert (await other.get("/gate/default", headers={**held, "X-Forwarded-Uri": "/"})).status_code == 200
    renewed = await other.post("/rooms/default/renew", headers=held)
    assert renewed.status_code == 200, renewed.text
    assert (await one.get("/gate/default", headers={"X-Waiting-Room-Pass": renewed.json()["pass"]})).status_code == 200


async def test_replicas_know_each_others_passes_whatever_their_machines_clocks_say(
    server: RealServer, off: tuple[httpx.AsyncClient, Services]
) -> None:
    async with running_app(settings_on(server)) as (right, services):
        await eventually(lambda: settled(services))
        await passed_on(right, off[0])
        await passed_on(off[0], right)


async def test_a_wrong_clock_is_told(off: tuple[httpx.AsyncClient, Services]) -> None:
    client, services = off
    told = (await client.get("/metrics")).text
    [line] = [line for line in told.splitlines() if line.startswith("stanchion_clock_off_seconds ")]
    assert float(line.split()[1]) == pytest.approx(services.clock.store_ahead_s)
    assert abs(float(line.split()[1])) == pytest.approx(7200, abs=5)
