"""The pictures of README and docs, made anew from a demo that runs: `make screenshots`."""

import asyncio
import tempfile
from pathlib import Path
from typing import Literal

from playwright.async_api import BrowserContext, Page, async_playwright, expect

from app.demo.everything import ROOM, Demo, Wanted, choose_port, run_demo
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.support.waiting import eventually

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SOLD = 7
"""How many seats should be sold in the picture of the hall."""


async def visitor(context: BrowserContext, site: str) -> Page:
    """Stand in line, until some of those ahead have been let in."""
    page = await context.new_page()
    await page.goto(f"{site}/_queue/rooms/{ROOM}?target=%2Fseats")
    await page.get_by_role("button", name="Take a place").click()
    ahead = page.locator("#fact-ahead dd")
    await expect(ahead).to_be_visible(timeout=20_000)
    first = int(await ahead.inner_text())

    async def some_have_gone_in() -> bool:
        return int(await ahead.inner_text()) <= first * 0.6

    await eventually(some_have_gone_in, within_s=120)
    return page


async def dashboard(context: BrowserContext, service: str, token: str) -> Page:
    """Sign in, and look at the room."""
    page = await context.new_page()
    await page.goto(f"{service}/admin/rooms/{ROOM}")
    await page.get_by_label("Admin token").fill(token)
    await page.get_by_label("Your name").fill("Ada")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#link")).to_have_text("Live")
    return page


async def hall_is_half_full(context: BrowserContext, site: str) -> None:
    async def sold() -> bool:
        hall = await (await context.request.get(f"{site}/tour.json")).json()
        return len(hall["sold"]) >= SOLD and len(hall["held"]) > 1

    await eventually(sold, within_s=300, every_s=0.5)


async def pace_is_known(context: BrowserContext, site: str) -> None:
    """The line has moved for long enough to say how long it takes."""
    room = f"{site}/_queue/rooms/{ROOM}"
    joined = await context.request.post(f"{room}/join")
    bearer = {"authorization": f"Bearer {(await joined.json())['token']}"}

    async def known() -> bool:
        place = await (await context.request.get(f"{room}/status", headers=bearer)).json()
        return place["estimatedWaitHighSeconds"] is not None

    await eventually(known, within_s=120, every_s=1)
    await context.request.post(f"{room}/leave", headers=bearer)


async def take(demo: Demo) -> None:
    """All of them."""
    site = f"http://localhost:{demo.wanted.site_port}"
    service = f"http://localhost:{demo.wanted.service_port}"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)

        async def somebody(height: int, width: int = 960, scheme: Literal["light", "dark"] = "light") -> BrowserContext:
            viewport = {"width": width, "height": height}
            return await browser.new_context(viewport=viewport, locale="en-GB", color_scheme=scheme)

        operator = await dashboard(await somebody(720), service, demo.admin_token)
        at_night = await dashboard(await somebody(760, 1000, "dark"), service, demo.admin_token)
        await pace_is_known(await somebody(100), site)
        tour = await (await somebody(880, 1280)).new_page()
        await tour.goto(f"{site}/tour")
        frame = tour.frame_locator("iframe")
        await frame.get_by_role("button", name="Take a place").click()
        await expect(frame.locator("#fact-wait dd")).to_be_visible(timeout=20_000)
        await expect(tour.locator("#sum")).to_contain_text("sold")
        visiting = await somebody(640)
        page = await visitor(visiting, site)
        await page.screenshot(path=IMAGES / "waiting-page.png")
        await tour.screenshot(path=IMAGES / "tour.png")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Choose a seat", timeout=180_000)
        await hall_is_half_full(visiting, site)
        await page.reload()
        await page.screenshot(path=IMAGES / "seats.png")
        await operator.screenshot(path=IMAGES / "demo-dashboard.png")
        await at_night.screenshot(path=IMAGES / "dashboard.png")
        await browser.close()


def main() -> None:
    """Run a demo for some two minutes, and take the pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        wanted = Wanted(Path(folder), choose_port(None, 3000), choose_port(None, 8000), crowd=520, shoppers=10)
        with run_demo(wanted, print) as demo:
            asyncio.run(take(demo))
    for picture in sorted(IMAGES.glob("*.png")):
        print(f"{picture.name}: {picture.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
