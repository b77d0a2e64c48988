"""The dashboard in a real browser: what an operator sees and does."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import PHONE, Visit
from tests.browser.test_waiting_page import assert_accessible, fill_line
from tests.conftest import make_settings
from tests.support.dashboard import TOKEN
from tests.support.live import LiveApp, live_app
from tests.support.looks import look_like
from tests.support.servers import RealServer
from tests.support.waiting import eventually

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


async def test_a_hidden_tab_holds_no_stream_and_catches_up_when_it_is_seen(live: LiveApp, visit: Visit) -> None:
    page = await signed_in(visit)
    feed = live.server.config.app.feed  # type: ignore[union-attr]
    await eventually(lambda: feed.viewers == 1)
    await turn_to(page, "hidden")
    await eventually(lambda: feed.viewers == 0)
    await fill_line(live, 4)
    await turn_to(page, "visible")
    await figure(page, "default", "Waiting", "2")
    await eventually(lambda: feed.viewers == 1)


async def turn_to(page: Page, visibility: str) -> None:
    """What a browser says when a tab goes behind others, or comes back."""
    await page.evaluate(
        """(state) => {
            Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        visibility,
    )


async def test_an_outage_is_said_and_over_by_itself(
    browser: Browser, own_server: RealServer, screenshot: Screenshot
) -> None:
    settings = make_settings(redis_url=own_server.url, rooms="default,concert", refresh_interval=0.02)
    async with live_app(settings) as live, await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(live.url + "/admin/rooms/concert")
        own_server.kill()
        await eventually(lambda: not live.services.store_is_up)
        await page.get_by_label("Admin token").fill(TOKEN)  # signing in works all the same
        await page.keyboard.press("Enter")
        await expect(page.locator("#link")).to_have_text(
            "The store is away. Figures stand still and nothing can be changed.", timeout=20_000
        )
        await expect(page.locator("#condition")).to_contain_text("Store away: old figures")
        await page.get_by_role("button", name="Close", exact=True).click()
        await page.get_by_role("dialog").get_by_role("button", name="Close", exact=True).click()
        await expect(page.locator("#toasts [data-tone=bad]")).to_contain_text("The store cannot be reached right now")
        await assert_accessible(page)
        await screenshot(page, "admin-outage")
        own_server.start()
        await expect(page.locator("#link")).to_have_text("Live", timeout=20_000)
        await expect(page.locator("#condition")).to_contain_text("Open")
        await expect(page.get_by_text("Nothing yet.")).to_be_visible()


async def test_everything_can_be_reached_by_keyboard(live: LiveApp, visit: Visit) -> None:
    page = await signed_in(visit, "/admin/rooms/default")
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="To the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Pause")).to_be_focused()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()  # not what hurts
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("button", name="Pause")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#condition")).to_contain_text("Paused")
    await expect(page.get_by_role("button", name="Resume")).to_be_focused()


async def test_among_many_rooms_some_are_found_and_trouble_shows_in_the_tab(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    page = await signed_in(visit)
    await expect(page.get_by_label("Find rooms")).to_be_hidden()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=live.url, headers=headers) as client:
        for number in range(9):
            wish = {"room": f"hall-{number}", "settings": {"look": {"title": f"Stage {number}"}}}
            (await client.post("/admin/api/rooms", json=wish)).raise_for_status()
        change = {"settings": {"method": "reject"}}
        (await client.patch("/admin/api/rooms/hall-7", json=change)).raise_for_status()
    await expect(page.get_by_role("heading", level=2)).to_have_text(
        ["default", "concert", *(f"hall-{number}" for number in range(9))]
    )
    await expect(page).to_have_title("(1 in trouble) Rooms – Stanchion")
    await page.get_by_label("Find rooms").fill("STAGE 7")
    await expect(page.get_by_role("heading", level=2)).to_have_text(["hall-7"])
    await assert_accessible(page)
    await screenshot(page, "admin-rooms-many")
    await page.get_by_label("Find rooms").fill("")
    await expect(page.get_by_role("heading", level=2)).to_have_count(11)
