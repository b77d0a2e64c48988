"""Tasks and locks on the dashboard."""

import asyncio

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import PHONE, Visit
from tests.browser.test_dashboard import HOSTILE, Screenshot, signed_in
from tests.browser.test_waiting_page import assert_accessible
from tests.support.live import LiveApp

pytestmark = pytest.mark.needs("chromium")


async def die(live: LiveApp, count: int, queue: str = "default") -> None:
    """Let tasks fail for good."""
    async with httpx.AsyncClient(base_url=live.url) as client:
        for number in range(count):
            task = {"type": "email", "payload": {"to": HOSTILE, "number": number}}
            (await client.post("/task", params={"queue": queue}, json=task)).raise_for_status()
            taken = (await client.get("/dequeue", params={"queue": queue})).json()
            failure = {"error": f"no route to {HOSTILE}", "retry": False, "leaseToken": taken["leaseToken"]}
            (await client.post(f"/fail/{taken['id']}", json=failure)).raise_for_status()


async def count(page: Page, name: str, value: str) -> None:
    entry = page.locator("#counts > div").filter(has=page.get_by_text(name, exact=True))
    await expect(entry.locator("dd")).to_have_text(value)


async def test_a_dead_letter_is_read_and_tried_again(live: LiveApp, visit: Visit, screenshot: Screenshot) -> None:
    await die(live, 3)
    page = await signed_in(visit, "/admin/tasks")
    letters = page.locator("#dead > li")
    await expect(letters).to_have_count(3)
    await expect(letters.first.locator(".error")).to_have_text(f"no route to {HOSTILE}")
    await letters.first.get_by_text("Payload").click()
    await expect(letters.first.locator("pre")).to_contain_text(f'"to": "{HOSTILE}"')
    await assert_accessible(page)
    await screenshot(page, "admin-tasks")
    await letters.first.get_by_role("button", name="Retry").click()
    await expect(letters).to_have_count(2)
    await count(page, "Pending", "1")
    async with httpx.AsyncClient(base_url=live.url) as client:
        assert (await client.get("/dequeue")).json()["payload"]["number"] == 0
    await letters.first.get_by_role("button", name="Delete…").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    await expect(letters).to_have_count(1)
    await page.get_by_role("button", name="Retry all…").click()
    await page.get_by_role("dialog").get_by_role("button", name="Retry all", exact=True).click()
    await expect(page.get_by_text("None: every task that failed")).to_be_visible()
    await expect(page.get_by_role("button", name="Delete all…")).to_be_disabled()


async def test_all_dead_letters_go_only_when_the_queue_is_named(live: LiveApp, visit: Visit) -> None:
    await die(live, 1)
    await die(live, 2, "mail")
    page = await signed_in(visit, "/admin/tasks")
    await page.get_by_role("link", name="mail", exact=True).click()
    await expect(page.get_by_role("heading", name="Queue mail")).to_be_focused()
    await expect(page.locator("#dead > li")).to_have_count(2)
    await page.get_by_role("button", name="Delete all…").click()
    await expect(page.get_by_role("dialog").get_by_role("button", name="Delete all")).to_be_disabled()
    await page.get_by_role("dialog").get_by_role("textbox").fill("mail")
    await page.keyboard.press("Enter")
    await expect(page.locator("#dead > li")).to_have_count(0)
    await page.get_by_role("link", name="default", exact=True).click()
    await expect(page.locator("#dead > li")).to_have_count(1)
    for _ in range(2):
        await live.services.tasks.queues.list.forget_unused(unused_s=0)
    await expect(page.get_by_role("link", name="mail", exact=True)).to_have_count(0)
    await expect(page.get_by_role("link", name="default", exact=True)).to_have_count(1)


async def test_more_dead_letters_than_a_page_are_shown_when_asked_for(live: LiveApp, visit: Visit) -> None:
    await die(live, 53)
    page = await signed_in(visit, "/admin/tasks")
    await expect(page.locator("#dead > li")).to_have_count(50)
    await page.get_by_role("button", name="Show more").click()
    await expect(page.locator("#dead > li")).to_have_count(53)
    await expect(page.get_by_role("button", name="Show more")).to_be_hidden()


async def test_locks_are_listed_while_they_are_held(live: LiveApp, visit: Visit, screenshot: Screenshot) -> None:
    page = await signed_in(visit, "/admin/locks")
    await expect(page.locator("#count")).to_have_text("0 locks are held.")
    async with httpx.AsyncClient(base_url=live.url, timeout=90) as client:
        wish = {"leaseMs": 90_000, "owner": HOSTILE}
        lock = (await client.post("/locks/seat 12/A", json=wish)).json()
        waiter = asyncio.create_task(client.post("/locks/seat 12/A", json={"waitMs": 90_000}))
        row = page.locator("#locks > li")
        await expect(row.get_by_role("heading")).to_have_text("seat 12/A")
        await expect(row).to_contain_text(HOSTILE)
        await expect(row.locator(".figures > div").filter(has_text="In line").locator("dd")).to_have_text("1")
        await assert_accessible(page)
        await screenshot(page, "admin-locks")
        token = {"X-Lock-Token": lock["token"]}
        (await client.delete("/locks/seat 12/A", headers=token)).raise_for_status()
        second = (await waiter).json()
        (await client.delete("/locks/seat 12/A", headers={"X-Lock-Token": second["token"]})).raise_for_status()
    await expect(row).to_have_count(0)


async def test_tasks_and_locks_fit_a_phone(live: LiveApp, visit: Visit, screenshot: Screenshot) -> None:
    await die(live, 2)
    async with httpx.AsyncClient(base_url=live.url) as client:
        (await client.post("/locks/" + "x" * 120, json={"leaseMs": 90_000})).raise_for_status()
    page = await signed_in(visit, "/admin/tasks", viewport=PHONE, color_scheme="dark")
    await expect(page.locator("#dead > li")).to_have_count(2)
    for name in ("tasks", "locks"):
        if name == "locks":
            await page.get_by_role("link", name="Locks").click()
            await expect(page.locator("#locks > li")).to_have_count(1)
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        await assert_accessible(page)
        await screenshot(page, f"admin-{name}-phone")


async def test_before_any_task_the_page_says_so(live: LiveApp, visit: Visit) -> None:
    page = await signed_in(visit, "/admin/tasks")
    await expect(page.get_by_text("No queue has been used yet.")).to_be_visible()
    await assert_accessible(page)
