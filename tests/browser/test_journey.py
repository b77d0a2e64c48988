"""A visitor's whole way in a real browser: the site, the line, the turn, a seat, the payment, and out again."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, LocatorAssertions, Page, expect

from app.demo.serving import create_box_office
from app.demo.site import SiteOptions, Tour
from tests.browser.conftest import Screenshot, Visit
from tests.conftest import make_settings
from tests.demo.conftest import bank_clerk
from tests.support.axe import assert_accessible
from tests.support.demos import demos
from tests.support.live import LiveApp, live_app, serving
from tests.support.looks import change, look_like
from tests.support.servers import RealServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.needs("chromium")

ROOM = "lantern-hall"


class Others:
    """Other visitors: programs that go the same way."""

    def __init__(self, site_url: str, stack: AsyncExitStack) -> None:
        self._site_url = site_url
        self._stack = stack

    async def join(self) -> "Other":
        client = await self._stack.enter_async_context(httpx.AsyncClient(base_url=self._site_url, timeout=30))
        joined = await client.post(f"/_queue/rooms/{ROOM}/join")
        client.headers["authorization"] = f"Bearer {joined.json()['token']}"
        return Other(client)

    async def enter(self) -> "Other":
        other = await self.join()
        await other.enter()
        return other


class Other:
    """One of them."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def enter(self) -> None:
        entered = await self.client.post(f"/_queue/rooms/{ROOM}/enter")
        assert entered.status_code == 200, entered.text
        self.client.headers["x-waiting-room-pass"] = entered.json()["pass"]

    async def pick(self, seat: str) -> None:
        assert (await self.client.post("/seats", data={"seat": seat})).status_code == 303

    async def leave(self) -> None:
        assert (await self.client.post(f"/_queue/rooms/{ROOM}/leave")).status_code == 204


@pytest.fixture
async def live(server: RealServer) -> AsyncIterator[LiveApp]:
    """The service, with a room where two may be inside."""
    settings = make_settings(
        redis_url=server.url,
        rooms=ROOM,
        refresh_interval=0.02,
        trusted_proxies="127.0.0.1",
        root_path="/_queue",
    )
    async with live_app(settings) as served:
        await change(served.services, ROOM, max_active=2, batches=False)
        await look_like(served.services, {"title": "Lantern Hall", "accent": "#8a4b08", "accentDark": "#ffc861"}, ROOM)
        yield served


@pytest.fixture
async def box_office(live: LiveApp) -> AsyncIterator[str]:
    """The guarded site's address."""
    tour = Tour(f"/_queue/rooms/{ROOM}", 2, f"{live.url}/admin")
    async with serving(create_box_office(SiteOptions(live.url, tour=tour), ROOM)) as (url, _):
        yield url


@pytest.fixture
async def others(box_office: str) -> AsyncIterator[Others]:
    async with AsyncExitStack() as stack:
        yield Others(box_office, stack)


def title(page: Page) -> LocatorAssertions:
    return expect(page.get_by_role("heading", level=1))


async def test_a_visitors_whole_way(
    live: LiveApp, box_office: str, others: Others, visit: Visit, screenshot: Screenshot
) -> None:
    inside, undecided = await others.enter(), await others.enter()
    ahead = await others.join()

    page = await visit(f"{box_office}/seats")
    await expect(page.get_by_role("button", name="Take a place")).to_be_visible()
    await assert_accessible(page)
    await screenshot(page, "journey-1-arrived")
    await page.get_by_role("button", name="Take a place").click()
    await title(page).to_have_text("You are in line")
    await expect(page.locator("#fact-ahead dd")).to_have_text("1")
    await assert_accessible(page)
    await screenshot(page, "journey-2-waiting")

    await undecided.leave()
    await expect(page.locator("#fact-ahead dd")).to_have_text("0", timeout=15_000)
    await ahead.enter()
    await inside.pick("C7")
    await ahead.leave()

    await title(page).to_have_text("Choose a seat", timeout=30_000)  # by itself, and where it wanted to go
    await expect(page).to_have_url(f"{box_office}/seats")
    await expect(page.locator("button[value=C7]")).to_have_attribute("data-state", "held")
    await assert_accessible(page)
    await screenshot(page, "journey-3-seats")
    await page.locator("button[value=C7]").click()
    await expect(page.get_by_role("alert")).to_contain_text("Someone else is looking at seat C7")
    await assert_accessible(page)
    await page.locator("button[value=C8]").click()
    await title(page).to_have_text("Seat C8 is kept for you")
    await assert_accessible(page)
    await page.get_by_role("button", name="Pay").click()
    await title(page).to_have_text("Your payment is on its way")
    await assert_accessible(page)
    async with bank_clerk(live.url):
        await title(page).to_have_text("Seat C8 is yours", timeout=30_000)
    await assert_accessible(page)
    await screenshot(page, "journey-4-ticket")

    next_in_line = await others.join()
    await page.get_by_role("button", name="Leave").click()
    await title(page).to_have_text("Good night")
    await assert_accessible(page)
    await next_in_line.enter()  # the slot is theirs
    await page.get_by_role("link", name="Come back").click()
    await expect(page).to_have_url(f"{box_office}/_queue/rooms/{ROOM}?target=%2F")
    await screenshot(page, "journey-5-back-in-line")
    await expect(page.get_by_role("button", name="Take a place")).to_be_visible()


async def test_the_whole_way_without_scripts(
    live: LiveApp, box_office: str, others: Others, visit: Visit, screenshot: Screenshot
) -> None:
    await others.enter()
    undecided = await others.enter()
    page = await visit(f"{box_office}/seats", java_script_enabled=False)
    await page.get_by_role("button", name="Take a place").click()
    await title(page).to_have_text("You are in line")
    await undecided.leave()
    await title(page).to_have_text("It is your turn", timeout=60_000)  # the page reloads itself
    await screenshot(page, "journey-no-script-turn")
    await page.locator("#enter button").click()
    await title(page).to_have_text("Choose a seat")
    await page.locator("button[value=B5]").click()
    await page.get_by_role("button", name="Pay").click()
    async with bank_clerk(live.url):
        await title(page).to_have_text("Seat B5 is yours", timeout=30_000)
    await page.get_by_role("button", name="Leave").click()
    await title(page).to_have_text("Good night")


async def test_a_visitor_with_room_to_spare_never_sees_the_line(box_office: str, visit: Visit) -> None:
    page = await visit(f"{box_office}/seats")
    await title(page).to_have_text("Choose a seat")
    await expect(page).to_have_url(f"{box_office}/seats")


async def test_the_tour_shows_the_site_the_line_and_the_hall(
    live: LiveApp, box_office: str, others: Others, visit: Visit, screenshot: Screenshot
) -> None:
    inside = await others.enter()
    await others.enter()
    await inside.pick("A1")
    page = await visit(f"{box_office}/tour#the-operators-token", viewport={"width": 1280, "height": 900})
    await expect(page.locator("#token code")).to_have_text("the-operators-token")
    await expect(page).to_have_url(f"{box_office}/tour")
    frame = page.frame_locator("iframe")
    await frame.get_by_role("button", name="Take a place").click()
    await expect(frame.get_by_role("heading", level=1)).to_have_text("You are in line")
    await expect(page.locator("#waiting")).to_have_text("1")
    await expect(page.locator("#in")).to_have_text("2")
    await expect(page.locator("#sum")).to_contain_text("1 being looked at")
    await assert_accessible(page)
    await screenshot(page, "tour")
    await live.control("pause", ROOM)
    await expect(page.get_by_text("The line stands still")).to_be_visible()
    phone = await visit(f"{box_office}/tour", viewport={"width": 320, "height": 640}, color_scheme="dark")
    assert await phone.evaluate("document.documentElement.scrollWidth") <= 320
    await assert_accessible(phone)
    await screenshot(phone, "tour-phone")


async def test_within_one_window_the_demo_leads_through_the_line_to_a_ticket(
    tmp_path: Path, browser: Browser, screenshot: Screenshot
) -> None:
    with demos(tmp_path) as start:
        demo = await start("--crowd", "60", "--shoppers", "2").ready()
        context = await browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
        page = await context.new_page()
        address = re.search(r"http://localhost:\d+/tour#\S+", demo.said)
        assert address
        await page.goto(address[0])
        frame = page.frame_locator("iframe")
        await frame.get_by_role("button", name="Take a place").click()
        await frame.get_by_role("link", name="Choose a seat").click(timeout=60_000)  # let in by itself
        pay = frame.get_by_role("button", name="Pay")

        async def picked() -> bool:  # others pick as well, and may have been a moment quicker
            await frame.locator('button[data-state="free"]').last.click()
            await expect(pay.or_(frame.get_by_role("alert"))).to_be_visible()
            return await pay.is_visible()

        await eventually(picked, within_s=60)
        await pay.click()
        await expect(frame.locator("#ticket")).to_be_visible(timeout=30_000)
        await expect(page.locator("#sum")).not_to_contain_text(": 0 of 60 sold")
        await screenshot(page, "demo-ticket")
        await frame.get_by_role("button", name="Leave").click()
        await expect(frame.get_by_role("heading", level=1)).to_have_text("Good night")
        operator = await context.new_page()
        await operator.goto(await page.get_by_role("link", name="dashboard").get_attribute("href") or "")
        await operator.get_by_label("Admin token").fill(address[0].rpartition("#")[2])
        await operator.get_by_role("button", name="Sign in").click()
        await expect(operator.get_by_role("link", name=ROOM, exact=True)).to_be_visible()
        await context.close()
