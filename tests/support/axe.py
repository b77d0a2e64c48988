"""axe's rules for a page that people see."""

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

WCAG_22_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


async def assert_accessible(page: Page) -> None:
    """No violation of WCAG 2.2 AA, nor of axe's own best practice."""
    results = await Axe().run(page, options={"runOnly": {"type": "tag", "values": [*WCAG_22_AA, "best-practice"]}})
    assert not results.response["violations"], results.generate_report()
