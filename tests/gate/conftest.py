"""A service behind a trusted proxy, and the proxy's way of asking it."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.services import Services
from tests.conftest import make_settings
from tests.support.apps import running_app, settled
from tests.support.servers import RealServer
from tests.support.waiting import eventually

BROWSER = {
    "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}
PROGRAM = {"Accept": "*/*"}


class Proxy:
    """Asks the gate as a proxy does, for a visitor of https://shop.example."""

    def __init__(self, client: httpx.AsyncClient, services: Services) -> None:
        self.client = client
        self.services = services

    async def ask(
        self, uri: str = "/checkout?step=2", method: str = "GET", *, room: str = "default", mode: str = "", **more: Any
    ) -> httpx.Response:
        """What the gate answers to a visitor's request."""
        headers = {
            "X-Forwarded-Method": method,
            "X-Forwarded-Uri": uri,
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "shop.example",
            "X-Forwarded-For": "203.0.113.9",
            **more.pop("headers", BROWSER),
        }
        address = f"/gate/{room}" + (f"?mode={mode}" if mode else "")
        raw = {name: value.encode() for name, value in headers.items()}
        return await self.client.get(address, headers=raw, **more)

    async def enter(self, room: str = "default") -> dict[str, Any]:
        """A visitor who joins and enters; the session with its pass."""
        ticket = (await self.client.post(f"/rooms/{room}/join")).json()
        answer = await self.client.post(f"/rooms/{room}/enter", headers={"Authorization": f"Bearer {ticket['token']}"})
        assert answer.status_code == 200, answer.text
        session: dict[str, Any] = answer.json()
        return session | {"ticket": ticket["token"]}

    def round_trips(self) -> float:
        """How often requests of this replica have asked the store so far."""
        return float(self.services.metrics.round_trips.labels("request")._value.get())


def pass_cookie(session: dict[str, Any], room: str = "default") -> dict[str, str]:
    """A browser's headers with its pass."""
    return {**BROWSER, "Cookie": f"a=b; __Host-stanchion-pass-{room}={session['pass']}; c=d"}


GATE_SETTINGS: dict[str, Any] = {
    "rooms": "default,concert",
    "window_size": 3,
    "window_interval": 600,
    "refresh_interval": 0.02,
    "trusted_proxies": "127.0.0.1",
}


@pytest.fixture
async def proxy(server: RealServer) -> AsyncIterator[Proxy]:
    settings = make_settings(redis_url=server.url, **GATE_SETTINGS)
    async with running_app(settings) as (client, services):
        await eventually(lambda: settled(services))
        yield Proxy(client, services)
