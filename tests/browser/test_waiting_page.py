"""The waiting page in a real browser: what people see, in every state and under every circumstance."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from playwright.async_api import Page, Response, Route, expect

from app.rooms.settings import Method
from app.web.languages import LANGUAGES, language
from app.web.page_texts import STATES
from tests.browser.conftest import PHONE, Visit
from tests.browser.steps import (
    Screenshot,
    answered_with,
    ask_now,
    assert_accessible,
    fill_line,
    join,
    shows,
    streams_open,
)
from tests.support.live import LiveApp
from tests.support.looks import change, look_like
from tests.support.waiting import eventually

pytestmark = pytest.mark.needs("chromium")


LOGO = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR42mOokl9EEmIY1TCqYfhqAABPTjsQD0+CwwAAAABJRU5ErkJggg=="
"""A violet square of 16 pixels."""
OF_THE_ROOM = ("none", "gather", "early", "away", "full", "refused")
"""States that no answer of /status has: what the room says decides."""


async def test_a_visitor_joins_and_waits(live: LiveApp, visit: Visit, screenshot: Screenshot) -> None:
    await fill_line(live, 4)
    page = await visit()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Join the line")
    await assert_accessible(page)
    await screenshot(page, "none")
    await page.get_by_role("button", name="Take a place").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("You are in line")
    await expect(page.locator("#fact-position dd")).to_have_text("5")
    await expect(page.locator("#fact-ahead dd")).to_have_text("2")
    await expect(page.locator("#fact-wait dd")).to_have_text(re.compile("^(19|20) minutes$"))  # some have passed
    await assert_accessible(page)
    await screenshot(page, "waiting")
    await page.reload()
    await expect(page.locator("#fact-position dd")).to_have_text("5")


async def test_the_turn_is_told_with_the_time_left(live: LiveApp, visit: Visit, screenshot: Screenshot) -> None:
    page = await visit("/rooms/concert")
    await join(page)
    await shows(page, "active")
    await expect(page.locator("#fact-left dd")).to_have_text(re.compile(r"minutes$"))
    await expect(page).to_have_title("● It is your turn – concert")
    await assert_accessible(page)
    await screenshot(page, "active")


async def test_operators_verbs_reach_the_page_by_push(live: LiveApp, visit: Visit, screenshot: Screenshot) -> None:
    await fill_line(live, 3)
    page = await visit()
    await join(page)
    stranger = await visit()
    await eventually(lambda: streams_open(live) == 2)
    for verb, state in (("pause", "paused"), ("resume", "waiting"), ("close", "waiting"), ("reset", "reset")):
        await live.control(verb)
        await shows(page, state)
        if state != "waiting":
            await assert_accessible(page)
            await screenshot(page, state)
        if verb == "close":
            await shows(stranger, "closed")
            await screenshot(stranger, "closed")


@pytest.mark.parametrize("state", [key for key in STATES if key not in OF_THE_ROOM])
async def test_every_status_has_its_words_and_passes_axe(
    live: LiveApp, visit: Visit, screenshot: Screenshot, state: str
) -> None:
    await fill_line(live, 2)
    page = await visit()
    await join(page)
    await shows(page, "waiting")
    status = "levitating" if state == "other" else state
    await answered_with(page, status=status, activeForSeconds=90, position=1235)
    await expect(page.locator("#fact-position dd, #title").first).to_be_visible()
    await shows(page, state)
    await expect(page.get_by_role("heading", level=1)).to_have_text(STATES[state].title)
    if state == "other":
        await expect(page.locator("#body")).to_have_text("A message of the service.")
    assert await page.locator("#join").is_visible() is (STATES[state].action == "join")
    await assert_accessible(page)
    await screenshot(page, f"status-{state}")
    await page.emulate_media(color_scheme="dark")
    await page.set_viewport_size({"width": 320, "height": 640})
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320
    await assert_accessible(page)
    await screenshot(page, f"status-{state}-phone-dark")


async def test_figures_only_ever_improve_and_the_bar_never_runs_backwards(live: LiveApp, visit: Visit) -> None:
    await fill_line(live, 2)
    page = await visit()
    await join(page)
    seen = []
    for ahead in (80, 40, 60, 20):
        await answered_with(page, ahead=ahead)
        await expect(page.locator("#fact-ahead dd")).to_have_text(str(ahead))
        seen.append(float(await page.locator("#progress").get_attribute("value") or 0))
    assert seen == sorted(seen)
    assert seen[-1] > seen[0]


async def test_the_page_works_without_scripts(live: LiveApp, visit: Visit, screenshot: Screenshot) -> None:
    await fill_line(live, 4)
    page = await visit(java_script_enabled=False)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Join the line")
    await page.get_by_role("button", name="Take a place").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("You are in line")
    assert page.url == f"{live.url}/"
    await expect(page.locator("#fact-ahead dd")).to_have_text("2")
    await expect(page.locator("#tell")).to_be_hidden()
    await screenshot(page, "no-script")
    await live.control("close")
    other = await visit("/", java_script_enabled=False)
    await expect(other.get_by_role("heading", level=1)).to_have_text("The line is closed")


async def test_without_scripts_the_page_refreshes_itself(live: LiveApp, visit: Visit) -> None:
    page = await visit(java_script_enabled=False)
    async with page.expect_navigation(timeout=20_000):
        pass
    await expect(page.get_by_role("heading", level=1)).to_have_text("Join the line")


async def test_an_offline_page_says_so_and_catches_up_by_itself(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    await fill_line(live, 3)
    page = await visit()
    await join(page)
    await page.context.set_offline(True)
    await expect(page.locator("#offline")).to_be_visible()
    await expect(page.locator("#fact-position dd")).to_have_text("4")
    await assert_accessible(page)
    await screenshot(page, "offline")
    await live.control("pause")
    await page.context.set_offline(False)
    await expect(page.locator("#offline")).to_be_hidden()
    await shows(page, "paused")


async def test_two_tabs_share_one_connection_and_both_stay_up_to_date(live: LiveApp, visit: Visit) -> None:
    await fill_line(live, 3)
    first = await visit()
    await join(first)
    listening: list[Page] = []

    def note(answer: Response) -> None:
        if answer.url.endswith("/events"):
            listening.append(answer.frame.page)

    first.context.on("response", note)
    second = await visit(beside=first)
    await eventually(lambda: second in listening and streams_open(live) == 1)
    asked: list[str] = []
    first.context.on("request", lambda request: asked.append(request.url))
    await live.control("pause")
    await shows(first, "paused")
    await shows(second, "paused")
    assert len([url for url in asked if url.endswith("/status")]) == 1
    assert streams_open(live) == 1
    await second.close()
    await live.control("resume")
    await shows(first, "waiting")


async def test_joining_in_one_tab_shows_in_the_other(live: LiveApp, visit: Visit) -> None:
    await fill_line(live, 3)
    first = await visit()
    second = await visit(beside=first)
    await join(second)
    await shows(first, "waiting")
    await expect(first.locator("#fact-position dd")).to_have_text("4")


async def test_without_the_stream_polls_go_on_and_obey_what_they_are_told(live: LiveApp, visit: Visit) -> None:
    await fill_line(live, 2)
    page = await visit()
    await page.route("**/events", lambda route: route.fulfill(status=503, headers={"retry-after": "15"}))
    await join(page)
    await answered_with(page, pollAfterSeconds=0.2, ahead=9)
    await expect(page.locator("#fact-ahead dd")).to_have_text("9")
    await live.control("pause")
    await page.unroute("**/status")
    await shows(page, "paused")


async def test_where_who_asks_late_is_passed_over_the_page_asks_as_often_as_told(live: LiveApp, visit: Visit) -> None:
    await change(live.services, "default", pass_over=True)
    await fill_line(live, 3)
    page = await visit()
    await join(page)
    await eventually(lambda: streams_open(live) == 1)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await answered_with(page, pollAfterSeconds=0.2, ahead=9)
    await eventually(lambda: len([url for url in asked if url.endswith("/status")]) > 5)  # not every twenty seconds


async def test_what_is_to_be_asked_while_an_older_answer_is_under_way_is_asked_after_it(
    live: LiveApp, visit: Visit
) -> None:
    await fill_line(live, 2)
    page = await visit()
    await page.add_init_script("delete window.EventSource")  # polls alone, the next of them in a minute
    await join(page)
    under_way, arrives = asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        answer = await route.fetch()
        under_way.set()
        await arrives.wait()
        await route.fulfill(response=answer)

    await page.route("**/status", late, times=1)
    await ask_now(page)
    await under_way.wait()
    await live.services.operator.admit("default", 1, "test")
    await eventually(lambda: live.services.rooms.get("default").snapshot.edge == 3)  # type: ignore[union-attr]
    await ask_now(page)
    await page.evaluate("new Promise((done) => setTimeout(done, 10))")  # behind the asking
    arrives.set()
    await shows(page, "active")


async def test_a_refused_place_is_explained_where_the_button_is(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    page = await visit()
    body = json.dumps({"type": "urn:stanchion:problem:joins-held", "title": "x", "status": 503, "detail": "y"})
    await page.route(
        "**/join", lambda route: route.fulfill(status=503, content_type="application/problem+json", body=body)
    )
    await page.locator("#join button").click()
    await expect(page.get_by_role("alert")).to_have_text(
        "Places are not being given out for a moment. Please try again shortly."
    )
    await assert_accessible(page)
    await screenshot(page, "refused")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_small_phone_shows_everything_without_scrolling_sideways(
    live: LiveApp, visit: Visit, screenshot: Screenshot, scheme: str
) -> None:
    await fill_line(live, 3)
    page = await visit(viewport=PHONE, color_scheme=scheme, reduced_motion="reduce")
    await join(page)
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    await page.locator(".languages summary").click()
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    await assert_accessible(page)
    await screenshot(page, f"phone-{scheme}-languages")
    await page.locator(".languages summary").click()
    await screenshot(page, f"phone-{scheme}")


@pytest.mark.parametrize("tag", LANGUAGES)
async def test_every_language_is_shown_the_same_with_and_without_scripts(
    live: LiveApp, visit: Visit, screenshot: Screenshot, tag: str
) -> None:
    await fill_line(live, 3)
    page = await visit("/", locale=tag, viewport=PHONE)
    await join(page)
    speech = language(tag)
    html = page.locator("html")
    await expect(html).to_have_attribute("lang", tag)
    await expect(html).to_have_attribute("dir", speech.direction)
    await expect(page.get_by_role("heading", level=1)).to_have_text(speech.text("You are in line"))
    await answered_with(page, status="waiting", estimatedWaitLowSeconds=7200, estimatedWaitHighSeconds=11_700)
    await expect(page.locator("#fact-wait dd")).to_have_text(speech.duration_range(7200, 11_700))
    await expect(page.locator("#fact-position dd")).to_have_text(speech.number(1234))
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    if speech.direction == "rtl":
        await assert_accessible(page)
    await screenshot(page, f"language-{tag}")


async def test_the_language_is_a_visible_choice_that_is_remembered(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    page = await visit()
    await page.locator(".languages summary").click()
    await assert_accessible(page)
    await screenshot(page, "languages")
    await page.get_by_role("link", name="Français").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Rejoindre la file")
    await page.goto(f"{live.url}/rooms/concert")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Rejoindre la file")


async def test_everything_can_be_done_by_keyboard(live: LiveApp, visit: Visit) -> None:
    await fill_line(live, 3)
    page = await visit()
    for _ in range(2):
        await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Take a place")).to_be_focused()
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    await page.keyboard.press("Enter")
    await shows(page, "waiting")
    for _ in range(3):
        await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Sound")).to_be_focused()
    await page.keyboard.press("Space")
    await expect(page.get_by_role("button", name="Sound")).to_have_attribute("aria-pressed", "true")


async def test_a_screen_reader_hears_changes_of_state_and_not_every_figure(live: LiveApp, visit: Visit) -> None:
    await fill_line(live, 2)
    page = await visit()
    await join(page)
    live_region = page.locator("#announce")
    for ahead in (90, 50, 20, 5):
        await answered_with(page, ahead=ahead)
        await expect(page.locator("#fact-ahead dd")).to_have_text(str(ahead))
    await expect(live_region).to_have_text("")
    await answered_with(page, status="active", activeForSeconds=60)
    await expect(live_region).to_have_text("It is your turn. You can go in now.")


async def test_with_consent_a_notification_tells_the_turn(live: LiveApp, visit: Visit) -> None:
    await fill_line(live, 2)
    page = await visit(permissions=["notifications"])
    await page.add_init_script(
        "window.told = []; window.Notification = class { static permission = 'granted';"
        " static requestPermission() { return Promise.resolve('granted'); }"
        " constructor(title, options) { window.told.push([title, options.body]); } close() {} };"
    )
    await join(page)
    await page.get_by_role("button", name="Notification").click()
    await answered_with(page, status="active", activeForSeconds=60)
    await shows(page, "active")
    assert await page.evaluate("window.told") == [["It is your turn", "Waiting room: You can go in now."]]


async def test_the_first_view_is_small_and_all_from_the_same_host(live: LiveApp, visit: Visit) -> None:
    page = await visit()
    sizes: list[int] = []
    hosts: set[str] = set()

    async def weigh(answer: Any) -> None:
        hosts.add(httpx.URL(answer.url).netloc.decode())
        if not answer.url.endswith("/events"):
            measured = await answer.request.sizes()
            sizes.append(measured["responseBodySize"] + measured["responseHeadersSize"])

    answers: list[Any] = []
    page.on("response", lambda answer: answers.append(answer))
    await page.reload(wait_until="load")
    await eventually(lambda: len(answers) >= 7)
    for answer in answers:
        await weigh(answer)
    assert sum(sizes) < 30_000
    assert hosts == {httpx.URL(live.url).netloc.decode()}


async def test_the_operators_message_and_look_reach_the_page_as_text(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    hostile = "Doors at <b>eight</b><script>window.broken = 1</script>"
    await fill_line(live, 3)
    look = {
        "title": "<i>Box office</i>",
        "accent": "#7a1fa2",
        "accentDark": "#e1a6ff",
        "logo": f"data:image/png;base64,{LOGO}",
        "links": [{"text": "Help & <u>questions</u>", "url": "https://shop.example/help"}],
    }
    await look_like(live.services, look)
    page = await visit()
    await join(page)
    await eventually(lambda: streams_open(live) == 1)
    await look_like(live.services, look | {"message": hostile})
    await expect(page.locator("#message")).to_have_text(hostile)
    await expect(page.locator("#announce")).to_have_text(hostile)
    await expect(page.locator(".room")).to_have_text("<i>Box office</i>")
    assert await page.evaluate("[window.broken, document.querySelector('main b, header i, main u')]") == [None, None]
    await eventually(lambda: page.evaluate("document.querySelector('.room img').naturalWidth === 16"))
    await assert_accessible(page)
    await screenshot(page, "look")
    dark = await visit(color_scheme="dark")
    await assert_accessible(dark)
    await screenshot(dark, "look-dark")


async def test_pressing_again_after_a_lost_answer_gives_no_second_place(live: LiveApp, visit: Visit) -> None:
    page = await visit()

    async def lose(route: Route) -> None:
        await route.fetch()
        await route.abort()

    await page.route("**/join", lose)
    await page.locator("#join button").click()
    await expect(page.locator("#problem")).to_be_visible()
    await page.unroute("**/join")
    await join(page)
    await expect(page.locator("#fact-position dd")).to_have_text("1")
    again = await visit()
    await join(again)
    await expect(again.locator("#fact-position dd")).to_have_text("2")


async def test_a_full_line_says_so_and_passes_axe(live: LiveApp, visit: Visit, screenshot: Screenshot) -> None:
    await fill_line(live, 3)
    page = await visit()
    await shows(page, "none")
    await eventually(lambda: streams_open(live) == 1)
    await change(live.services, "default", max_waiting=1)
    await shows(page, "full")
    await assert_accessible(page)
    await screenshot(page, "full")


async def test_before_it_opens_the_page_counts_down_in_the_visitors_own_time(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    opens_at = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=30)
    await change(live.services, "default", opens_at=opens_at)
    page = await visit(timezone_id="Asia/Tokyo", locale="en-GB")
    await shows(page, "gather")
    await assert_accessible(page)
    await screenshot(page, "gather")
    await page.locator("#join button").click()
    await shows(page, "early")
    await expect(page.locator("#fact-until dd")).to_have_text(re.compile(r"^(29|30) hours$"))
    there = opens_at.astimezone(ZoneInfo("Asia/Tokyo"))
    await expect(page.locator("#fact-opens dd")).to_contain_text(f"{there:%H:%M}")
    await expect(page.locator("#fact-opens dd")).to_contain_text("GMT+9")
    await expect(page.locator("#progress")).to_be_hidden()
    await assert_accessible(page)
    await screenshot(page, "early")
    await eventually(lambda: streams_open(live) == 1)
    await change(live.services, "default", opens_at=None)
    await shows(page, "waiting")


async def test_a_refusal_reaches_the_open_page_in_the_operators_words(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    page = await visit()
    await shows(page, "none")
    await eventually(lambda: streams_open(live) == 1)
    hostile = "Sold out. <b>Sorry</b><script>window.broken = 1</script>"
    await change(live.services, "default", method=Method.REJECT, reject_message=hostile)
    await shows(page, "refused")
    await expect(page.locator("#refusal")).to_have_text(hostile)
    assert await page.evaluate("[window.broken, document.querySelector('main b')]") == [None, None]
    await assert_accessible(page)
    await screenshot(page, "refused-room")
    await change(live.services, "default", method=Method.FIFO)
    await shows(page, "none")
    await expect(page.locator("#refusal")).to_be_hidden()


async def test_a_wait_without_an_upper_end_is_told_as_at_least(live: LiveApp, visit: Visit) -> None:
    await fill_line(live, 3)
    page = await visit()
    await join(page)
    await answered_with(page, estimatedWaitLowSeconds=600, estimatedWaitHighSeconds=None)
    await expect(page.locator("#fact-wait dd")).to_have_text("at least 10 minutes")
    await answered_with(page, estimatedWaitLowSeconds=0, estimatedWaitHighSeconds=None)
    await expect(page.locator("#fact-wait dd")).to_have_text("cannot be told yet")
