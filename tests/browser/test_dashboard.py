"""The dashboard in a real browser: what an operator sees and does."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import PHONE, Visit
from tests.browser.test_waiting_page import assert_accessible, fill_line
from tests.support.dashboard import TOKEN
from tests.support.live import LiveApp
from tests.support.looks import look_like

pytestmark = pytest.mark.needs("chromium")

Screenshot = Callable[[Page, str], Awaitable[None]]

HOSTILE = "<img src=x onerror=alert(1)><b>&amp;"


async def signed_in(visit: Visit, path: str = "/admin", **options: object) -> Page:
    """A browser that has signed in and gone to `path`."""
    page = await visit(path, **options)
    await page.get_by_label("Admin token").fill(TOKEN)
    await page.get_by_label("Your name").fill("Ada")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#link")).to_have_text("Live")
    return page


async def figure(page: Page, room: str, name: str, value: str) -> None:
    """Wait until a room's card shows this."""
    box = page.locator(".rooms .card").filter(has=page.get_by_role("link", name=room, exact=True))
    entry = box.locator(".figures > div").filter(has=page.get_by_text(name, exact=True))
    await expect(entry.locator("dd")).to_have_text(value)


async def test_an_operator_signs_in_and_sees_all_rooms_move(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    page = await visit("/admin")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    await assert_accessible(page)
    await screenshot(page, "admin-sign-in")
    await page.get_by_label("Admin token").fill("not-the-token")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_have_text("That is not the admin token.")
    await assert_accessible(page)
    await page.get_by_label("Admin token").fill(TOKEN)
    await page.keyboard.press("Enter")
    await expect(page.locator("#link")).to_have_text("Live")
    await figure(page, "default", "Waiting", "0")
    await fill_line(live, 7)
    await figure(page, "default", "Waiting", "5")
    await figure(page, "default", "On turn", "2")
    await live.control("pause", "concert")
    await expect(page.locator(".card[data-tone=warn] .condition")).to_have_text("❚❚ Paused")
    await assert_accessible(page)
    await screenshot(page, "admin-rooms")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    await page.goto(live.url + "/admin")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_the_rooms_fit_a_phone(live: LiveApp, visit: Visit, screenshot: Screenshot, scheme: str) -> None:
    await look_like(live.services, {"title": HOSTILE})
    page = await signed_in(visit, viewport=PHONE, color_scheme=scheme)
    await expect(page.get_by_text(HOSTILE)).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    await assert_accessible(page)
    await screenshot(page, f"admin-rooms-phone-{scheme}")


async def test_a_room_that_comes_or_goes_is_seen_at_once(live: LiveApp, visit: Visit) -> None:
    page = await signed_in(visit)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=live.url, headers=headers) as client:
        (await client.post("/admin/api/rooms", json={"room": "sale"})).raise_for_status()
        await figure(page, "sale", "Waiting", "0")
        (await client.delete("/admin/api/rooms/sale")).raise_for_status()
    await expect(page.get_by_role("heading", name="sale", exact=True)).to_have_count(0)


async def test_without_a_stream_the_page_asks_by_itself(live: LiveApp, visit: Visit) -> None:
    page = await visit("/admin")
    await page.context.route("**/admin/events", lambda route: route.abort())
    await page.get_by_label("Admin token").fill(TOKEN)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#link")).to_have_text("Asking every few seconds", timeout=20_000)
    await fill_line(live, 3)
    await figure(page, "default", "Waiting", "1")
