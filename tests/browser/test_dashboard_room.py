"""A room's page on the dashboard: figures and charts that move, and controls that do what they say."""

import httpx
import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import PHONE, Visit
from tests.browser.test_dashboard import HOSTILE, Screenshot, signed_in
from tests.browser.test_waiting_page import assert_accessible, fill_line
from tests.support.dashboard import TOKEN
from tests.support.live import LiveApp
from tests.support.looks import change, look_like
from tests.support.waiting import eventually

pytestmark = pytest.mark.needs("chromium")


async def figure(page: Page, name: str, value: str) -> None:
    entry = page.locator("#figures > div").filter(has=page.get_by_text(name, exact=True))
    await expect(entry.locator("dd")).to_have_text(value)


async def press(page: Page, name: str, within: str = "body") -> None:
    await page.locator(within).get_by_role("button", name=name, exact=True).click()


async def serving(live: LiveApp, room: str = "default") -> dict[str, object]:
    async with httpx.AsyncClient(base_url=live.url) as client:
        document: dict[str, object] = (await client.get(f"/rooms/{room}/serving")).json()
        return document


async def says(live: LiveApp, **members: object) -> None:
    async def told() -> bool:
        document = await serving(live)
        return all(document[name] == value for name, value in members.items())

    await eventually(told)


async def test_figures_and_charts_move_with_the_crowd(live: LiveApp, visit: Visit, screenshot: Screenshot) -> None:
    page = await signed_in(visit, "/admin/rooms/default")
    await expect(page.get_by_role("heading", level=1)).to_have_text("default")
    await fill_line(live, 12)
    await figure(page, "Waiting", "10")
    await figure(page, "On turn", "2")
    await live.services.history.step()
    chart = page.get_by_role("img", name="In the room: now waiting 10, on turn 2, inside 0.")
    await expect(chart).to_be_visible(timeout=20_000)
    assert await chart.locator("canvas").count() == 1
    await page.locator("summary").first.click()
    await expect(page.get_by_role("region", name="In the room, minute by minute").get_by_role("row")).not_to_have_count(
        0
    )
    await page.get_by_label("Show", exact=True).select_option("60")
    await assert_accessible(page)
    await screenshot(page, "admin-room")


async def test_a_room_is_paused_and_resumed_and_everybody_is_told(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    page = await signed_in(visit, "/admin/rooms/default")
    await press(page, "Pause")
    dialog = page.get_by_role("dialog", name="Pause default?")
    await assert_accessible(page)
    await screenshot(page, "admin-pause")
    await press(page, "Cancel", "dialog")
    await expect(dialog).to_be_hidden()
    assert (await serving(live))["paused"] is False
    await press(page, "Pause")
    await press(page, "Pause", "dialog")
    await says(live, paused=True)
    await expect(page.locator("#condition")).to_contain_text("Paused")
    await expect(page.locator("#audit li").first).to_contain_text("Ada (dashboard) paused")
    await expect(page.locator("#audit li").first).to_contain_text("paused: false → true")
    await press(page, "Resume")
    await says(live, paused=False)


async def test_a_room_is_closed_drained_and_opened(live: LiveApp, visit: Visit) -> None:
    page = await signed_in(visit, "/admin/rooms/default")
    await fill_line(live, 4)
    for verb, words in (("Close", "Closed to new visitors"), ("Drain", "Draining")):
        await press(page, verb)
        await press(page, verb, "dialog")
        await expect(page.locator("#condition")).to_contain_text(words)
        await says(live, closed=True)
        await press(page, "Open")
        await says(live, closed=False)
        await expect(page.locator("#condition")).to_contain_text("Open")


async def test_a_reset_wants_the_rooms_name(live: LiveApp, visit: Visit, screenshot: Screenshot) -> None:
    page = await signed_in(visit, "/admin/rooms/default", viewport=PHONE)
    await fill_line(live, 5)
    await figure(page, "Waiting", "3")
    await page.get_by_role("button", name="Reset…").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("3 who wait lose their places")
    await expect(dialog.get_by_role("button", name="Reset")).to_be_disabled()
    await dialog.get_by_role("textbox").fill("defaul")
    await expect(dialog.get_by_role("button", name="Reset")).to_be_disabled()
    await page.keyboard.press("Enter")
    await expect(dialog).to_be_visible()
    await assert_accessible(page)
    await screenshot(page, "admin-reset-phone")
    assert (await serving(live))["epoch"] == 1
    await dialog.get_by_role("textbox").fill("default")
    await dialog.get_by_role("button", name="Reset").click()
    await says(live, epoch=2, last=0)
    await figure(page, "Waiting", "0")


async def test_the_next_are_admitted_at_once_and_never_beyond_the_capacity(live: LiveApp, visit: Visit) -> None:
    await change(live.services, "concert", max_active=3, rate_per_minute=0.01)
    page = await signed_in(visit, "/admin/rooms/concert")
    async with httpx.AsyncClient(base_url=live.url) as client:
        for _ in range(6):
            (await client.post("/rooms/concert/join")).raise_for_status()
    await figure(page, "Waiting", "5")
    for asked, told in (("1", "1 let in."), ("4", "1 of 4 let in: no more waited, or the capacity is used up.")):
        await press(page, "Admit now…")
        await page.get_by_label("How many").fill(asked)
        await page.keyboard.press("Enter")
        await expect(page.locator("#toasts")).to_contain_text(told)
    await figure(page, "Waiting", "3")
    await figure(page, "On turn", "3")
    await expect(page.locator("#audit li").first).to_contain_text("admitted at once")


async def test_the_pace_is_changed_and_never_over_somebody_elses_change(
    live: LiveApp, visit: Visit, screenshot: Screenshot
) -> None:
    page = await signed_in(visit, "/admin/rooms/default")
    capacity = page.get_by_label("Capacity: active at once")
    await expect(page.get_by_label("Batch: places")).to_have_value("2")
    await capacity.fill("7")
    await press(page, "Change…")
    await expect(page.get_by_role("dialog")).to_contain_text("Capacity: no limit or default → 7")
    await press(page, "Change", "dialog")
    room = live.services.rooms.get("default")
    await eventually(lambda: room.settings.max_active == 7)
    await expect(page.locator("#audit li").first).to_contain_text("maxActive: – → 7")
    await change(live.services, "default", max_active=9)
    await expect(capacity).to_have_value("9")  # untouched, the form follows
    await capacity.fill("5")
    await change(live.services, "default", max_active=11)
    await expect(page.get_by_text("The settings have changed meanwhile.")).to_be_visible()
    await press(page, "Change…")
    await press(page, "Change", "dialog")
    await expect(page.locator("#toasts [data-tone=bad]")).to_contain_text("Somebody else changed this first")
    assert room.settings.max_active == 11
    await assert_accessible(page)
    await screenshot(page, "admin-settings-conflict")
    await press(page, "Show them")
    await expect(capacity).to_have_value("11")


async def test_a_message_reaches_the_waiting_page_as_text(live: LiveApp, visit: Visit) -> None:
    page = await signed_in(visit, "/admin/rooms/default")
    await page.get_by_label("Shown on the waiting page at once").fill(HOSTILE)
    await press(page, "Send")
    visitor = await visit("/")
    await expect(visitor.locator("#message")).to_have_text(HOSTILE)
    await expect(page.locator("#audit li").first).to_contain_text("look.message: – → " + HOSTILE)
    await page.get_by_label("Shown on the waiting page at once").fill("")
    await press(page, "Send")
    await expect(visitor.locator("#message")).to_be_hidden()


async def test_rooms_are_made_and_deleted(live: LiveApp, visit: Visit) -> None:
    page = await signed_in(visit)
    await page.get_by_role("button", name="New room…").click()
    await page.get_by_label("Name").fill("Not A Name")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_be_visible()  # the browser itself refuses it
    await page.get_by_label("Name").fill("sale")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("sale")
    await page.get_by_role("button", name="Delete…").click()
    await page.get_by_role("dialog").get_by_role("textbox").fill("sale")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Rooms")
    await expect(page.get_by_role("link", name="sale", exact=True)).to_have_count(0)
    await page.goto(live.url + "/admin/rooms/sale")
    await expect(page.get_by_text("There is no room of this name")).to_be_visible()
    await expect(page.locator("#audit li").first).to_contain_text("deleted the room")
    await expect(page.get_by_role("button", name="Pause")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_a_room_fits_a_phone_and_its_texts_are_texts(
    live: LiveApp, visit: Visit, screenshot: Screenshot, scheme: str
) -> None:
    await look_like(live.services, {"title": HOSTILE, "message": HOSTILE})
    await fill_line(live, 9)
    await live.services.history.step()
    page = await signed_in(visit, "/admin/rooms/default", viewport=PHONE, color_scheme=scheme)
    await expect(page.locator("#title")).to_have_text(HOSTILE)
    await expect(page.locator(".plot canvas").first).to_be_visible(timeout=20_000)
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    await assert_accessible(page)
    await screenshot(page, f"admin-room-phone-{scheme}")


async def test_a_signed_out_page_leads_to_the_door_and_back(live: LiveApp, visit: Visit) -> None:
    page = await signed_in(visit, "/admin/rooms/concert")
    other = await visit("/admin", beside=page)
    await other.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in", timeout=30_000)
    await page.get_by_label("Admin token").fill(TOKEN)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("concert")


async def test_charts_go_on_from_what_they_have_and_put_right_what_was_still_fresh(live: LiveApp, visit: Visit) -> None:
    page = await signed_in(visit, "/admin/rooms/concert")
    hour, step, asked = 3_600_000, 5000, []

    async def answer(route: Route) -> None:
        since = int(route.request.url.rpartition("=")[2])
        asked.append(since)
        first = 10 * hour if since == 0 else since + step
        at = list(range(first, first + (hour if since == 0 else 6 * step), step))
        names = ("waiting", "onTurn", "inside", "joinsPerMinute", "admittedPerMinute", "abandonedPerMinute")
        columns = {name: [len(asked)] * len(at) for name in (*names, "pollsPerSecond", "waitSeconds")}
        await route.fulfill(json={"room": "concert", "everySeconds": 5, "at": at, **columns})

    await page.route("**/history?since=*", answer)
    columns = await page.evaluate(
        """async () => {
            const script = document.querySelector("script[type=module]").src.replace("room.js", "history.js");
            const { History } = await import(script);
            const history = new History("concert");
            await history.refresh();
            await history.refresh();
            return history.columns;
        }"""
    )
    newest = 11 * hour - step
    assert newest - 20_000 in asked
    assert columns["at"] == list(range(newest - 20_000 + 7 * step - hour, newest - 20_000 + 7 * step, step))
    assert len(columns["waiting"]) == hour // step
    assert columns["waiting"][-7] < columns["waiting"][-6], (
        "the last six are news, four of them of moments known before"
    )


async def test_charts_follow_the_colours_of_the_night(live: LiveApp, visit: Visit) -> None:
    await fill_line(live, 5)
    await live.services.history.step()
    page = await signed_in(visit, "/admin/rooms/default", color_scheme="light")
    await expect(page.locator(".plot canvas").first).to_be_visible(timeout=20_000)
    await page.emulate_media(color_scheme="dark")
    await expect(page.locator(".plot canvas")).to_have_count(4)
    await assert_accessible(page)
