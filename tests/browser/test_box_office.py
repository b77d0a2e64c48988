"""The box office in a real browser: every page passes axe, keeps its own rules, and works without scripts."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect

from app.demo.serving import create_box_office
from app.demo.site import SiteOptions, create_site
from tests.browser.conftest import PHONE, Screenshot, Visit
from tests.demo.conftest import bank_clerk
from tests.support.axe import assert_accessible
from tests.support.live import LiveApp, serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture
async def box_office(live: LiveApp) -> AsyncIterator[str]:
    """The site's address; nothing stands in front of it."""
    async with serving(create_site(SiteOptions(live.url))) as (url, _):
        yield url


async def pick(page: Page, seat: str) -> None:
    await page.locator(f"button[value={seat}]").click()


async def test_a_seat_is_picked_paid_for_and_given_a_ticket(
    box_office: str, live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    page = await visit(box_office)
    await expect(page.get_by_role("heading", level=1)).to_have_text("The Night Orchestra")
    await assert_accessible(page)
    await screenshot(page, "site-front")
    await page.get_by_role("link", name="Choose a seat").click()
    await assert_accessible(page)

    other = await visit(f"{box_office}/seats")
    await pick(other, "C7")
    await expect(other.get_by_role("heading", level=1)).to_have_text("Seat C7 is kept for you")
    await expect(page.locator("button[value=C7]")).to_have_attribute("data-state", "held")
    await pick(page, "C7")
    await expect(page.get_by_role("alert")).to_contain_text("Someone else is looking at seat C7")
    await assert_accessible(page)
    await screenshot(page, "site-held")

    await pick(page, "C6")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Seat C6 is kept for you")
    await assert_accessible(page)
    await screenshot(page, "site-checkout")
    await page.get_by_role("button", name="Pay").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your payment is on its way")
    await assert_accessible(page)
    await screenshot(page, "site-paying")
    async with bank_clerk(live.url):
        await expect(page.get_by_role("heading", level=1)).to_have_text("Seat C6 is yours", timeout=20_000)
    await assert_accessible(page)
    await screenshot(page, "site-paid")
    await page.get_by_role("link", name="Choose another seat").click()
    await expect(page.locator("button[value=C6]")).to_be_disabled()
    await assert_accessible(page)
    await screenshot(page, "site-seats")
    await page.get_by_role("button", name="Leave").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Good night")
    await assert_accessible(page)
    await screenshot(page, "site-bye")


async def test_it_works_without_scripts_in_the_dark_on_a_phone(
    box_office: str, live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    page = await visit(box_office, java_script_enabled=False, viewport=PHONE, color_scheme="dark")
    await page.get_by_role("link", name="Choose a seat").click()
    await pick(page, "A1")
    await page.get_by_label("A card without money").check()
    await page.get_by_role("button", name="Pay").click()
    async with bank_clerk(live.url):
        title = page.get_by_role("heading", level=1)
        await expect(title).to_have_text("The payment did not come through", timeout=20_000)
    await screenshot(page, "site-failed-phone")
    await page.get_by_role("link", name="Choose again").click()
    await expect(page.locator("button[value=A1]")).to_have_attribute("data-state", "free")
    await screenshot(page, "site-seats-phone")
    await page.get_by_role("button", name="Leave").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Good night")


async def test_the_plan_fits_a_phone_and_passes_axe_in_the_dark(box_office: str, visit: Visit) -> None:
    page = await visit(f"{box_office}/seats", viewport=PHONE, color_scheme="dark")
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    await assert_accessible(page)
    for button in await page.locator(".hall button").all():
        box = await button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 24


async def test_the_time_to_decide_is_shown_and_its_end_too(live: LiveApp, visit: Visit) -> None:
    async with serving(create_site(SiteOptions(live.url, decide_s=6.0))) as (url, _):
        page = await visit(f"{url}/seats")
        await pick(page, "A1")
        # It is there for a second, and an expectation looks once a second only.
        await eventually(lambda: page.evaluate("document.getElementById('left')?.textContent === '0:00'"), within_s=30)
        await expect(page.get_by_role("alert")).to_contain_text("No seat is kept for you", timeout=15_000)


async def test_pages_of_trouble_pass_axe_too(
    box_office: str, live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    page = await visit(f"{box_office}/seats")
    await pick(page, "A1")
    await page.get_by_label("A card without money").check()
    await page.get_by_role("button", name="Pay").click()
    async with bank_clerk(live.url):
        await expect(page.get_by_text("The bank refused the card.")).to_be_visible(timeout=20_000)
    await assert_accessible(page)

    nowhere = SiteOptions("http://127.0.0.1:9")
    async with serving(create_box_office(nowhere)) as (url, _):
        page = await visit(f"{url}/seats")
        await pick(page, "A1")
        await expect(page.get_by_role("heading", level=1)).to_have_text("That did not work")
        await assert_accessible(page)
        await screenshot(page, "site-trouble")
    async with serving(create_box_office(nowhere, "default")) as (url, _):
        page = await visit(f"{url}/seats")
        await expect(page.get_by_role("heading", level=1)).to_have_text("One moment, please")
        await assert_accessible(page)
