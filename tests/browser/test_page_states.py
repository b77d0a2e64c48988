"""The page's rarer states and circumstances: nothing known yet, old figures, right to left, no motion, forced colours."""

import re
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, expect

from app.store import keys
from app.web.languages import language
from app.web.page_texts import STATES
from tests.browser.conftest import PHONE, Visit
from tests.browser.steps import Screenshot, answered_with, assert_accessible, fill_line, join, shows
from tests.conftest import make_settings
from tests.support.live import LiveApp, live_app
from tests.support.looks import change
from tests.support.servers import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.needs("chromium")

OF_A_PLACE = [key for key in STATES if key not in ("none", "gather", "early", "away", "full", "refused", "other")]


async def test_a_page_that_knows_nothing_yet_says_so_and_looks_again(browser: Browser, screenshot: Screenshot) -> None:
    settings = make_settings(redis_url=f"redis://127.0.0.1:{free_port()}/0", refresh_interval=0.02)
    async with live_app(settings, with_store=False) as live, await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(live.url)
        await shows(page, "away")
        await expect(page.locator("body[data-live]")).to_be_attached()
        await expect(page.get_by_role("heading", level=1)).to_have_text("One moment, please")
        await expect(page.get_by_role("button", name="Take a place")).to_be_hidden()
        await assert_accessible(page)
        await screenshot(page, "away")


async def test_figures_from_memory_are_marked_as_old(live: LiveApp, visit: Visit, screenshot: Screenshot) -> None:
    await fill_line(live, 2)
    page = await visit()
    await join(page)
    await answered_with(page, stale=True)
    await expect(page.locator("#stale")).to_be_visible()
    await assert_accessible(page)
    await screenshot(page, "stale")
    await answered_with(page, stale=False)
    await expect(page.locator("#stale")).to_be_hidden()


async def test_a_room_that_there_is_not_is_told_in_the_visitors_language(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    page = await visit("/rooms/nowhere", locale="ar", viewport=PHONE)
    await expect(page.get_by_role("heading", level=1)).to_have_text(language("ar").text("There is no such line"))
    await assert_accessible(page)
    await screenshot(page, "no-room")


async def test_every_state_reads_from_right_to_left_on_a_small_phone(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    await fill_line(live, 2)
    page = await visit(locale="ar", viewport=PHONE)
    await join(page)
    for state in OF_A_PLACE:
        await answered_with(page, status=state, activeForSeconds=90)
        await shows(page, state)
        await expect(page.get_by_role("heading", level=1)).to_have_text(language("ar").text(STATES[state].title))
        left = await page.locator("#title").evaluate("e => getComputedStyle(e).direction")
        assert left == "rtl"
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        await assert_accessible(page)
        await screenshot(page, f"rtl-{state}")


@pytest.mark.parametrize(("motion", "takes"), [("reduce", "0s"), ("no-preference", "1s")])
async def test_the_bar_moves_only_where_motion_is_welcome(live: LiveApp, visit: Visit, motion: str, takes: str) -> None:
    await fill_line(live, 2)
    page = await visit(reduced_motion=motion)
    await join(page)
    rules = await page.evaluate(
        "[...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])"
        ".filter((rule) => rule instanceof CSSMediaRule && matchMedia(rule.conditionText).matches)"
        ".flatMap((rule) => [...rule.cssRules]).map((rule) => rule.cssText).filter((text) => text.includes('transition'))"
    )
    assert bool(rules) is (takes == "1s")
    moving = await page.evaluate("document.getAnimations().length")
    assert moving == 0 or motion == "no-preference"
    everything = await page.evaluate(
        "[...document.querySelectorAll('*')].filter((e) => getComputedStyle(e).transitionDuration !== '0s').length"
    )
    assert everything == 0


async def test_the_page_can_be_read_in_forced_colours(live: LiveApp, visit: Visit, screenshot: Screenshot) -> None:
    await fill_line(live, 2)
    page = await visit(forced_colors="active")
    await join(page)
    await answered_with(page, ahead=20)
    await expect(page.locator("#fact-ahead dd")).to_have_text("20")
    await assert_accessible(page)
    await screenshot(page, "forced-colours")


async def test_text_can_be_twice_as_large_without_being_cut_off(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    await fill_line(live, 2)
    page = await visit(viewport={"width": 640, "height": 900})
    await join(page)
    await page.evaluate("document.documentElement.style.setProperty('font-size', '200%')")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 640
    await screenshot(page, "text-200")


@pytest.mark.parametrize(
    "target", ["javascript:window.broken=1//", "data:text/html,x", "//evil.example", "https://evil.example/"]
)
async def test_a_hostile_target_is_never_gone_to(live: LiveApp, visit: Visit, target: str) -> None:
    await fill_line(live, 2)
    page = await visit(f"/?target={quote(target, safe='')}")
    await join(page)
    await live.services.operator.admit("default", 1, "test")
    await shows(page, "active")
    await expect(page.locator("#enter")).to_have_count(0)
    assert await page.evaluate("window.broken") is None
    assert page.url.startswith(live.url + "/")


async def test_a_hostile_message_of_the_service_stays_text(live: LiveApp, visit: Visit) -> None:
    hostile = "<img src=x onerror='window.broken=1'><script>window.broken=2</script>"
    await fill_line(live, 2)
    page = await visit()
    await join(page)
    await answered_with(page, status="levitating", message=hostile)
    await shows(page, "other")
    await expect(page.locator("#body")).to_have_text(hostile)
    await expect(page.locator("#announce")).to_have_text(re.compile("<img src=x"))
    assert await page.evaluate("[window.broken, document.querySelector('main img')]") == [None, None]


async def test_a_phone_that_slept_through_its_turn_is_brought_to_the_front_by_looking_at_it(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    pace = {"rate_per_minute": 0.01, "rate_burst": 1, "pass_over": True, "pass_over_seconds": 1, "grace_seconds": 300}
    await change(live.services, "default", **pace)
    await fill_line(live, 2)
    page = await visit()
    await join(page)
    await expect(page.locator("#fact-position dd")).to_have_text("3")
    await page.goto("about:blank")
    # Who has just joined counts as there for a minute; let that be over.
    await live.services.store.client.zadd(keys.room_keys("default")["seen"], {"3": 0})
    await change(live.services, "default", rate_per_minute=20)
    room = live.services.rooms.get("default")

    def passed_over() -> bool:
        mark = room.marks.get(3)
        return mark is not None and mark.kind == "p"

    await eventually(passed_over, within_s=60)
    answer = await page.goto(live.url)
    assert answer is not None
    assert STATES["passed"].title in await answer.text()
    await shows(page, "active")
    await expect(page.locator("#fact-position dd")).to_have_text("3")
