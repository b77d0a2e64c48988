"""What the pages' tests do again and again: fill a line, join it, answer for the service, look at the page."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, Route, expect

from tests.support.live import LiveApp
from tests.support.waiting import eventually

Screenshot = Callable[[Page, str], Awaitable[None]]

WCAG_22_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


async def fill_line(live: LiveApp, count: int) -> None:
    """Let others join first, and wait until this replica has seen them."""
    async with httpx.AsyncClient(base_url=live.url) as client:
        for _ in range(count):
            last = (await client.post("/join")).raise_for_status().json()["position"]
    await eventually(lambda: live.services.rooms.get("default").snapshot.last >= last)  # type: ignore[union-attr]


async def join(page: Page) -> None:
    await page.locator("#join button").click()
    await expect(page.locator("#fact-position")).to_be_visible()
    await expect(page.locator("body[data-live]")).to_be_attached()


async def shows(page: Page, state: str) -> None:
    await expect(page.locator("body")).to_have_attribute("data-state", state)


async def ask_now(page: Page) -> None:
    """What a browser says when the network is back; the page then asks at once."""
    await page.evaluate("window.dispatchEvent(new Event('online'))")


async def answered_with(page: Page, **changes: Any) -> None:
    """Let the page's next questions be answered like this."""

    async def answer(route: Route) -> None:
        place = {
            "room": "default",
            "position": 1234,
            "status": "waiting",
            "ahead": 56,
            "estimatedWaitSeconds": 400,
            "estimatedWaitLowSeconds": 320,
            "estimatedWaitHighSeconds": 520,
            "pollAfterSeconds": 30,
            "epoch": 1,
            "stale": False,
            "message": "A message of the service.",
            **changes,
        }
        await route.fulfill(status=200, content_type="application/json", body=json.dumps(place))

    await page.route("**/status", answer)
    await ask_now(page)


async def assert_accessible(page: Page) -> None:
    results = await Axe().run(page, options={"runOnly": {"type": "tag", "values": [*WCAG_22_AA, "best-practice"]}})
    assert not results.response["violations"], results.generate_report()


def streams_open(live: LiveApp) -> float:
    value = live.services.metrics.registry.get_sample_value("stanchion_streams_open")
    assert value is not None
    return value
