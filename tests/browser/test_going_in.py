"""Going in: by itself when the turn comes, by a button, without scripts; and out again."""

import re
from urllib.parse import quote

import httpx
import pytest
from playwright.async_api import Page, Route, expect

from app.rooms.gate import RoomGate
from tests.browser.conftest import Visit
from tests.browser.steps import Screenshot, answered_with, ask_now, assert_accessible, fill_line, join, shows
from tests.support.live import LiveApp
from tests.support.looks import change

pytestmark = pytest.mark.needs("chromium")

WISH = "/docs?seat=12"
HERE = "/?target=%2Fdocs%3Fseat%3D12"


async def cookies_of(page: Page) -> set[str]:
    return {str(cookie.get("name")) for cookie in await page.context.cookies()}


async def let_one_in(live: LiveApp) -> None:
    """The next in line's turn comes."""
    await live.services.operator.admit("default", 1, "test")


async def test_the_page_goes_in_by_itself_when_the_turn_comes_and_to_where_the_visitor_wanted(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    await fill_line(live, 2)
    page = await visit(HERE)
    await join(page)
    await shows(page, "waiting")
    await expect(page.locator("#enter")).to_be_hidden()
    assert page.url == live.url + HERE
    await let_one_in(live)
    await page.wait_for_url(live.url + WISH)
    assert "stanchion-pass-default" in await cookies_of(page)
    await page.go_back()
    await shows(page, "entered")
    await expect(page.get_by_role("button", name="Go to the site")).to_be_visible()
    await expect(page.locator("#leads-to bdi")).to_have_text(live.url.removeprefix("http://") + "/docs")
    await assert_accessible(page)
    await screenshot(page, "entered")


async def test_with_room_to_spare_the_button_leads_straight_in(live: LiveApp, visit: Visit) -> None:
    page = await visit(HERE)
    await page.get_by_role("button", name="Take a place").click()
    await page.wait_for_url(live.url + WISH)
    assert "stanchion-pass-default" in await cookies_of(page)


async def test_after_a_turn_that_was_not_taken_up_the_button_gives_a_new_place(live: LiveApp, visit: Visit) -> None:
    page = await visit(HERE)
    body = {"type": "urn:stanchion:problem:not-your-turn", "title": "x", "status": 409, "detail": "y"}
    await page.route("**/rooms/default/enter?*", lambda route: route.fulfill(status=409, json=body))
    await page.get_by_role("button", name="Take a place").click()
    await shows(page, "active")
    await live.services.operator.end("default", [1], "test")
    await ask_now(page)
    await shows(page, "ended")
    await page.get_by_role("button", name="Take a place").click()
    await expect(page.locator("#fact-position dd")).to_have_text("2")


async def test_a_page_opened_in_the_middle_of_a_turn_shows_the_way_and_leaves_it_to_the_visitor(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    page = await visit()
    await join(page)
    await page.goto(live.url + HERE)
    await shows(page, "active")
    await expect(page.get_by_role("button", name="Go in")).to_be_visible()
    await assert_accessible(page)
    await screenshot(page, "way-in")
    await page.get_by_role("button", name="Go in").click()
    await page.wait_for_url(live.url + WISH)


async def test_a_hidden_tab_waits_until_it_is_looked_at(live: LiveApp, visit: Visit) -> None:
    await fill_line(live, 2)
    page = await visit(HERE)
    await join(page)
    await page.evaluate("Object.defineProperty(document, 'hidden', { configurable: true, get: () => window.away })")
    await page.evaluate("window.away = true")
    await let_one_in(live)
    await shows(page, "active")
    assert page.url == live.url + HERE
    await page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    await page.wait_for_url(live.url + WISH)


async def test_a_store_that_is_away_for_a_moment_is_said_and_asked_again(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    await fill_line(live, 2)
    page = await visit(HERE)
    await join(page)
    body = {"type": "urn:stanchion:problem:store-unavailable", "title": "x", "status": 503, "detail": "y"}

    async def refuse(route: Route) -> None:
        await route.fulfill(status=503, json=body, headers={"retry-after": "1"})

    await page.route("**/rooms/default/enter?*", refuse)
    await let_one_in(live)
    await expect(page.get_by_role("alert")).to_have_text(re.compile("^The line cannot be reached right now"))
    await page.unroute("**/rooms/default/enter?*")
    await page.wait_for_url(live.url + WISH)


async def test_where_the_room_does_not_let_them_in_the_page_says_so(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    await fill_line(live, 2)
    page = await visit(HERE)
    await join(page)
    await answered_with(page, status="active", activeForSeconds=60)  # the store knows better
    await expect(page.get_by_role("alert")).to_have_text("It is not your turn yet. This page tells you when it is.")
    assert page.url == live.url + HERE
    await assert_accessible(page)
    await screenshot(page, "not-your-turn")


async def test_without_scripts_a_button_leads_in_and_another_ends_the_visit(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    page = await visit(HERE, java_script_enabled=False)
    await page.get_by_role("button", name="Take a place").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("It is your turn")
    assert page.url == live.url + HERE
    await screenshot(page, "no-script-turn")
    await page.get_by_role("button", name="Go in").click()
    await page.wait_for_url(live.url + WISH)
    assert "stanchion-pass-default" in await cookies_of(page)
    await page.goto(live.url + HERE)
    await expect(page.get_by_role("heading", level=1)).to_have_text("You are in")
    await page.locator("#leave summary").click()
    await screenshot(page, "no-script-leave")
    await page.get_by_role("button", name="End my visit").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your visit has ended")
    assert "stanchion-pass-default" not in await cookies_of(page)


async def test_without_scripts_the_button_also_leads_to_a_site_on_another_host(live: LiveApp, visit: Visit) -> None:
    elsewhere = live.url.replace("127.0.0.1", "localhost")
    host = httpx.URL(elsewhere).netloc.decode()
    await change(live.services, "default", gate=RoomGate.model_validate({"hosts": [host]}))
    page = await visit(f"/?target={quote(elsewhere, safe='')}%2Fdocs", java_script_enabled=False)
    await page.get_by_role("button", name="Take a place").click()
    await page.get_by_role("button", name="Go in").click()
    await page.wait_for_url(f"{elsewhere}/docs")


async def test_the_wish_is_kept_through_another_language_a_reload_and_in_another_tab(
    live: LiveApp, visit: Visit
) -> None:
    await fill_line(live, 2)
    page = await visit(HERE)
    await page.locator(".languages summary").click()
    await page.get_by_role("link", name="Deutsch").click()
    await expect(page.locator("html")).to_have_attribute("lang", "de")
    await expect(page.locator("body[data-live]")).to_be_attached()
    assert page.url == live.url + HERE
    await page.reload()
    await join(page)
    other = await visit("/", beside=page)
    await expect(other.locator("#leads-to bdi")).to_have_text(re.compile("/docs$"))


async def test_leaving_the_line_is_two_presses_and_gives_the_place_up(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    await fill_line(live, 2)
    page = await visit(HERE)
    await join(page)
    await page.locator("#leave summary").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#leave p")).to_contain_text("you cannot get it back")
    await assert_accessible(page)
    await screenshot(page, "leave")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await shows(page, "ended")
    assert "target=%2Fdocs%3Fseat%3D12" in page.url
    await page.get_by_role("button", name="Take a place").click()
    await shows(page, "waiting")
    await expect(page.locator("#fact-position dd")).to_have_text("4")
