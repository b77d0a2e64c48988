"""A real Chromium for the pages' tests, and a folder for what it showed (`tests/browser/screenshots`, not kept in git)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.conftest import make_settings
from tests.support import tools
from tests.support.live import LiveApp, live_app
from tests.support.servers import RealServer

CHROMIUM = tools.find("chromium")
EXPECTED_WITHIN_MS = 20_000
"""How long a page may take until it shows what is expected: three browsers and their services share two cores at times."""
expect.set_options(timeout=EXPECTED_WITHIN_MS)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENSHOTS = Path(__file__).parent / "screenshots"
PHONE = {"width": 320, "height": 640}

Visit = Callable[..., Awaitable[Page]]
Screenshot = Callable[[Page, str], Awaitable[None]]


@pytest.fixture(autouse=True)
def patient(patient_store: None) -> None:
    """No page is about a slow store, and a browser that starts makes every store slow."""


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, started once."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        await launched.close()


@pytest.fixture
async def live(server: RealServer) -> AsyncIterator[LiveApp]:
    """A service whose line does not move by itself, on a real port."""
    settings = make_settings(
        redis_url=server.url, rooms="default,concert", window_size=2, window_interval=600, refresh_interval=0.02
    )
    async with live_app(settings) as served:
        yield served


@pytest.fixture
async def visit(browser: Browser, live: LiveApp) -> AsyncIterator[Visit]:
    """Open a page in a browser of its own (or another tab of `beside`); nothing may break its rules or its scripts."""
    complaints: list[str] = []
    async with AsyncExitStack() as stack:

        async def go(path: str = "/", *, beside: Page | None = None, **options: Any) -> Page:
            if beside is None:
                context = await browser.new_context(
                    **{"viewport": {"width": 1024, "height": 768}, "locale": "en-GB", **options}
                )
                stack.push_async_callback(context.close)
                context.on("weberror", lambda error: complaints.append(str(error.error)))
                context.on(
                    "console",
                    lambda message: complaints.append(message.text) if "Security Policy" in message.text else None,
                )
            else:
                context = beside.context
            page = await context.new_page()
            await page.goto(path if "://" in path else live.url + path)
            return page

        yield go
    assert not complaints


@pytest.fixture
def screenshot() -> Screenshot:
    """Keep a picture of a page, to be looked at."""

    async def keep(page: Page, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        await page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    return keep
