"""The waiting page on one host and the site on another, in a real browser: no cookie is shared, an entry code goes along.

`127.0.0.1` and `localhost` are two hosts to a browser, as `queue.example` and `shop.example` are.
"""

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from app.demo.guard import Guard, GuardOptions
from app.rooms.gate import RoomGate
from tests.browser.conftest import Visit
from tests.browser.steps import fill_line, join, shows
from tests.conftest import make_settings
from tests.support.live import LiveApp, live_app, serving
from tests.support.looks import change
from tests.support.servers import RealServer, free_port

pytestmark = pytest.mark.needs("chromium")

PASS = "stanchion-pass-default"


async def shop(scope: Scope, receive: Receive, send: Send) -> None:
    """A site that says what was asked for, so that what is left of a code would be seen."""
    if scope["type"] == "http":
        request = Request(scope)
        await HTMLResponse(f"<h1>The shop</h1><p>{request.url.path}?{request.url.query}</p>")(scope, receive, send)
        return
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


@pytest.fixture
async def live(server: RealServer) -> AsyncIterator[LiveApp]:
    """The service, whose line does not move by itself."""
    settings = make_settings(
        redis_url=server.url, window_size=2, window_interval=600, refresh_interval=0.02, trusted_proxies="127.0.0.1"
    )
    async with live_app(settings) as served:
        yield served


@pytest.fixture
async def site(live: LiveApp) -> AsyncIterator[str]:
    """The guarded site, on a host that is not the page's."""
    port = free_port()
    host = f"localhost:{port}"
    gate = RoomGate(inline=False, hosts=(host,), site_url=f"http://{host}/", page_url=f"{live.url}/rooms/default")
    await change(live.services, "default", gate=gate)
    async with serving(Guard(shop, GuardOptions(live.url, "default")), port):
        yield f"http://{host}"


async def cookies_at(page: Page, url: str) -> set[str]:
    return {str(cookie.get("name")) for cookie in await page.context.cookies(url)}


async def inside(page: Page, live: LiveApp, site: str) -> None:
    """The visitor sees the site, at the address they wanted, and each host has its own cookies."""
    await expect(page.get_by_role("heading", level=1)).to_have_text("The shop", timeout=30_000)
    await expect(page).to_have_url(f"{site}/seats?row=A")
    await expect(page.locator("p")).to_have_text("/seats?row=A")
    assert PASS in await cookies_at(page, site)
    assert "stanchion-ticket-default" not in await cookies_at(page, site)
    await page.goto(f"{site}/checkout")
    await expect(page.locator("p")).to_have_text("/checkout?")
    assert PASS in await cookies_at(page, live.url), "who comes back to the page finds their visit there as well"


async def test_a_visitor_waits_on_one_host_and_comes_in_on_the_other(live: LiveApp, site: str, visit: Visit) -> None:
    await fill_line(live, 2)
    page = await visit(f"{site}/seats?row=A")
    await expect(page).to_have_url(re.compile(re.escape(f"{live.url}/rooms/default?target=")))
    await join(page)
    await shows(page, "waiting")
    await live.services.operator.admit("default", 1, "test")
    await inside(page, live, site)


async def test_without_scripts_the_button_leads_over_as_well(live: LiveApp, site: str, visit: Visit) -> None:
    page = await visit(f"{site}/seats?row=A", java_script_enabled=False)
    await page.get_by_role("button", name="Take a place").click()
    await page.locator("#enter button").click()
    await inside(page, live, site)


async def test_the_address_with_the_code_is_worth_nothing_to_whoever_finds_it_later(
    live: LiveApp, site: str, visit: Visit
) -> None:
    seen: list[str] = []
    page = await visit(f"{site}/seats?row=A", java_script_enabled=False)
    page.on("request", lambda request: seen.append(request.url))
    await page.get_by_role("button", name="Take a place").click()
    await page.locator("#enter button").click()
    await inside(page, live, site)
    [used] = [url for url in seen if "waiting-room-entry=" in url]
    somebody_else = await visit(used)
    await expect(somebody_else.get_by_role("button", name="Take a place")).to_be_visible()
    assert PASS not in await cookies_at(somebody_else, site)
