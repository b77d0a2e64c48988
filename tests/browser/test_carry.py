"""Taking the place to another device, as people do it: scan the picture, open the link, or type the code."""

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from app.web.languages import LANGUAGES, language
from app.web.page_texts import WORDS
from tests.browser.conftest import PHONE, SCREENSHOTS, Visit
from tests.browser.steps import Screenshot, assert_accessible, fill_line, join, shows
from tests.support import tools
from tests.support.live import LiveApp

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.needs("zbarimg")]

HERE = "/?target=%2Fdocs%3Fseat%3D12"
CODE = re.compile(r"^[0-9A-Z]{4}(-[0-9A-Z]{4}){2}$")


async def in_line(live: LiveApp, visit: Visit, path: str = HERE, **options: object) -> Page:
    await fill_line(live, 2)
    page = await visit(path, **options)
    await join(page)
    return page


async def make_link(page: Page) -> str:
    await page.locator("#carry summary").click()
    await page.get_by_role("button", name="Make a link").click()
    await expect(page.locator("#offer-code")).to_have_text(CODE)
    link = await page.locator("#offer-link").get_attribute("href")
    assert link
    return link


async def scanned(page: Page, path: Path) -> str:
    """What a camera reads off the screen."""
    await page.locator("#offer-picture").screenshot(path=path)
    reader = tools.find("zbarimg")
    assert reader
    run = await asyncio.create_subprocess_exec(
        reader, "--quiet", "--raw", str(path), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    said, _ = await run.communicate()
    return said.decode().strip()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_camera_reads_the_picture_and_the_other_device_goes_on_in_the_same_place(
    live: LiveApp, visit: Visit, screenshot: Screenshot, tmp_path: Path, scheme: str
) -> None:
    page = await in_line(live, visit, color_scheme=scheme)
    link = await make_link(page)
    assert await scanned(page, tmp_path / "qr.png") == link
    await assert_accessible(page)
    await screenshot(page, f"carry-{scheme}")
    phone = await visit(link.removeprefix(live.url), viewport=PHONE, color_scheme=scheme)
    await expect(phone.get_by_label("Code from the other device")).to_have_value(CODE)
    await expect(phone.get_by_role("button", name="Continue here")).to_be_focused()
    assert "#" not in phone.url
    await assert_accessible(phone)
    await screenshot(phone, f"takeover-{scheme}")
    await phone.keyboard.press("Enter")
    await shows(phone, "waiting")
    await expect(phone.locator("#fact-position dd")).to_have_text("3")
    assert phone.url.endswith("/rooms/default?target=%2Fdocs%3Fseat%3D12")
    await expect(page.locator("#offer-news")).to_have_text(WORDS["carry_taken"], timeout=15_000)
    await expect(page.locator("#offer")).to_be_hidden()
    await expect(page.locator("#fact-position dd")).to_have_text("3")
    await screenshot(page, f"carried-{scheme}")


async def test_only_opening_the_link_changes_nothing(live: LiveApp, visit: Visit) -> None:
    page = await in_line(live, visit)
    link = await make_link(page)
    asked: list[str] = []
    for _ in range(2):
        curious = await visit("/")
        curious.context.on("request", lambda request: asked.append(request.method + " " + request.url))
        await curious.goto(link)
        await expect(curious.get_by_role("button", name="Continue here")).to_be_visible()
    assert not [request for request in asked if request.startswith("POST") or "place=" in request]
    await curious.get_by_role("button", name="Continue here").click()
    await shows(curious, "waiting")


async def test_a_device_that_has_a_place_is_told_that_it_will_be_replaced(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    page = await in_line(live, visit)
    link = await make_link(page)
    other = await visit("/rooms/default")
    await join(other)
    await expect(other.locator("#fact-position dd")).to_have_text("4")
    await other.goto(link)
    await expect(other.locator("#takeover-replaces")).to_have_text(WORDS["takeover_replaces"])
    await assert_accessible(other)
    await screenshot(other, "takeover-replaces")
    await other.get_by_role("button", name="Continue here").click()
    await expect(other.locator("#fact-position dd")).to_have_text("3")


async def test_a_used_code_is_explained_where_it_was_typed(live: LiveApp, visit: Visit, screenshot: Screenshot) -> None:
    page = await in_line(live, visit)
    await make_link(page)
    code = await page.locator("#offer-code").inner_text()
    for device, outcome in ((await visit(), "waiting"), (await visit(), "none")):
        await device.locator("#takeover summary").focus()
        await device.keyboard.press("Enter")
        await device.keyboard.press("Tab")
        await device.keyboard.type(code.lower().replace("-", " "))
        await device.keyboard.press("Enter")
        await shows(device, outcome)
    await expect(device.get_by_role("alert")).to_have_text(re.compile("^This code does not hold"))
    await expect(device.get_by_label("Code from the other device")).to_be_focused()
    await assert_accessible(device)
    await screenshot(device, "takeover-refused")


async def test_too_many_links_are_refused_with_a_reason(live: LiveApp, visit: Visit) -> None:
    page = await in_line(live, visit)
    await page.locator("#carry summary").click()
    for _ in range(5):
        made = await page.request.post(f"{live.url}/rooms/default/carry", headers={"Origin": live.url})
        assert made.status == 201
    await page.get_by_role("button", name="Make a link").click()
    await expect(page.get_by_role("alert")).to_have_text(re.compile("^Too many codes"))


async def test_without_scripts_the_code_is_shown_and_typed(
    live: LiveApp, visit: Visit, screenshot: Screenshot, tmp_path: Path
) -> None:
    await fill_line(live, 2)
    page = await visit(HERE, java_script_enabled=False)
    await page.get_by_role("button", name="Take a place").click()
    await page.locator("#carry summary").click()
    await page.get_by_role("button", name="Make a link").click()
    code = await page.locator("#offer-code").inner_text()
    assert (await scanned(page, tmp_path / "qr.png")).endswith(f"/rooms/default#place={code}")
    await screenshot(page, "no-script-carry")
    other = await visit("/rooms/default", java_script_enabled=False, viewport=PHONE)
    await other.locator("#takeover summary").click()
    await other.get_by_label("Code from the other device").fill(code)
    await other.get_by_role("button", name="Continue here").click()
    await expect(other.locator("#fact-position dd")).to_have_text("3")
    await page.get_by_role("link", name="Back to your place").click()
    await expect(page.locator("#fact-position dd")).to_have_text("3")
    await page.get_by_role("button", name="Make a link").wait_for(state="hidden")


@pytest.mark.parametrize("tag", [tag for tag in LANGUAGES if tag != "en"])
async def test_every_language_says_it_on_a_small_phone(
    live: LiveApp, visit: Visit, screenshot: Screenshot, tag: str
) -> None:
    words = {key: language(tag).text(text) for key, text in WORDS.items()}
    page = await in_line(live, visit, locale=tag, viewport=PHONE)
    await page.get_by_text(words["carry"]).click()
    await page.get_by_role("button", name=words["carry_make"]).click()
    await expect(page.locator("#offer-once")).to_have_text(
        words["carry_once"].replace("{time}", language(tag).time_left(300))
    )
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    if tag in ("ar", "de", "ja"):
        await assert_accessible(page)
    await screenshot(page, f"carry-{tag}")
    assert SCREENSHOTS.exists()


async def test_where_its_script_cannot_be_loaded_the_form_still_works(live: LiveApp, visit: Visit) -> None:
    page = await in_line(live, visit)
    await page.route("**/carry.js", lambda route: route.abort())
    await page.locator("#carry summary").click()
    await page.get_by_role("button", name="Make a link").click()
    await page.get_by_role("link", name="Back to your place").click()
    await expect(page.locator("#fact-position dd")).to_have_text("3")
