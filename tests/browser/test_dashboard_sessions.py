"""Who is inside a room, on the dashboard: seen, ended, kept out."""

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import PHONE, Visit
from tests.browser.steps import Screenshot, assert_accessible
from tests.browser.test_dashboard import signed_in
from tests.support.live import LiveApp
from tests.support.looks import change

pytestmark = pytest.mark.needs("chromium")


async def let_in(live: LiveApp, count: int) -> tuple[list[str], list[dict[str, str]]]:
    """Let some into the room `concert`; their sessions' names, and the headers of their tickets."""
    await change(live.services, "concert", max_active=100)
    async with httpx.AsyncClient(base_url=live.url) as client:
        names, tickets = [], []
        for _ in range(count):
            joined = (await client.post("/rooms/concert/join")).json()
            tickets.append({"Authorization": f"Bearer {joined['token']}"})
            entered = await client.post("/rooms/concert/enter", headers=tickets[-1])
            names.append(str(entered.json()["sessionId"]))
        return names, tickets


async def opened(visit: Visit, **options: object) -> Page:
    """The room's page with the list unfolded, by keyboard."""
    page = await signed_in(visit, "/admin/rooms/concert", **options)
    await page.locator("#inside summary").focus()
    await page.keyboard.press("Enter")
    return page


async def test_sessions_are_listed_and_ended_by_keyboard(live: LiveApp, visit: Visit) -> None:
    names, tickets = await let_in(live, 3)
    page = await opened(visit)
    rows = page.locator("#sessions > li")
    await expect(rows).to_have_count(3)
    await expect(page.locator("#sessions-count")).to_have_text("3 inside.")
    await page.get_by_role("button", name=f"End… {names[1]}").focus()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name=f"End the visit {names[1]}?")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(rows).to_have_count(2)
    await expect(page.locator("#sessions")).to_be_focused()
    await expect(page.locator("#audit li").first).to_contain_text("Ada (dashboard) ended visits")
    async with httpx.AsyncClient(base_url=live.url) as client:
        assert (await client.post("/rooms/concert/enter", headers=tickets[1])).status_code == 410
        assert (await client.post("/rooms/concert/join", headers=tickets[1])).status_code == 200
        assert (await client.post("/rooms/concert/renew", headers=tickets[2])).status_code == 200


async def test_who_is_revoked_gets_no_new_place(live: LiveApp, visit: Visit) -> None:
    [name], tickets = await let_in(live, 1)
    page = await opened(visit)
    await page.get_by_role("button", name=f"Revoke… {name}").click()
    await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await expect(page.locator("#sessions-count")).to_have_text("Nobody is inside.")
    await expect(page.locator("#audit li").first).to_contain_text("Ada (dashboard) revoked visits")
    async with httpx.AsyncClient(base_url=live.url) as client:
        assert (await client.post("/rooms/concert/join", headers=tickets[0])).status_code == 403


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_the_list_fits_a_phone_and_shows_more_when_asked(
    live: LiveApp, visit: Visit, screenshot: Screenshot, scheme: str
) -> None:
    names, _ = await let_in(live, 23)
    page = await opened(visit, viewport=PHONE, color_scheme=scheme)
    rows = page.locator("#sessions > li")
    await expect(rows).to_have_count(20)
    await expect(rows.first).to_contain_text(f"{names[-1]} since ")
    await expect(page.locator("#sessions-count")).to_have_text("23 inside. The 20 that end last are shown.")
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert await page.evaluate("document.documentElement.scrollHeight <= document.body.scrollHeight")
    await assert_accessible(page)
    await screenshot(page, f"admin-sessions-phone-{scheme}")
    await page.get_by_role("button", name="Show more").click()
    await expect(rows).to_have_count(23)
    await expect(page.get_by_role("button", name="Show more")).to_be_hidden()


async def test_figures_that_are_an_upper_bound_say_so(live: LiveApp, visit: Visit, screenshot: Screenshot) -> None:
    page = await signed_in(visit, "/admin/rooms/concert")
    on_turn = page.locator("#figures > div").filter(has_text="On turn").locator("small")
    gave_up = page.locator("#figures > div").filter(has_text="Gave up").locator("small")
    await expect(on_turn).to_have_text("at most")
    await expect(gave_up).to_have_text("in line only")
    await expect(page.locator("#capacity")).to_contain_text("turns are not counted one by one")
    await assert_accessible(page)
    await screenshot(page, "admin-at-most")
    await change(live.services, "concert", max_active=5)
    await expect(on_turn).to_have_text("")
    await expect(gave_up).to_have_text("")
    await page.goto(live.url + "/admin")
    card = page.locator(".rooms .card").filter(has=page.get_by_role("link", name="default", exact=True))
    await expect(card.locator("small").filter(has_text="at most")).to_have_count(1)
    await expect(page.locator("#totals small").filter(has_text="at most")).to_have_count(1)
    await screenshot(page, "admin-rooms-at-most")
