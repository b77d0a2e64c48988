"""The report of a played crowd in a real browser: drawn, readable, and in need of nothing else."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from app.simulate.crowd.charts import charts_of
from app.simulate.crowd.checks import check_all
from app.simulate.crowd.figures import figures_of
from app.simulate.crowd.journeys import journeys_of
from app.simulate.crowd.page import render_page
from app.simulate.crowd.record import Act, Limits, Recording
from tests.browser.conftest import PHONE
from tests.simulate.ideal import ideal_recording
from tests.support.axe import assert_accessible

pytestmark = pytest.mark.needs("chromium")

LIMITS = Limits(rate_per_minute=240, burst=4, max_active=40, counted=True)
HOSTILE = "<script>window.broken = 1</script>"


def written(recording: Recording, folder: Path) -> Path:
    journeys = journeys_of(recording.visitors, recording.events)
    figures = figures_of(recording, journeys)
    path = folder / "report.html"
    html = render_page(recording, journeys, figures, check_all(recording, journeys), datetime.now(UTC))
    path.write_text(html, encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [{"width": 1024, "height": 768}, PHONE], ids=["desk", "phone"])
async def test_the_report_draws_its_charts_and_asks_nobody_for_anything(
    browser: Browser,
    tmp_path: Path,
    screenshot: Callable[[Page, str], Awaitable[None]],
    scheme: str,
    viewport: dict[str, int],
) -> None:
    recording = ideal_recording(LIMITS, visitors=400, over_s=40.0)
    path = written(recording, tmp_path)
    journeys = journeys_of(recording.visitors, recording.events)
    charts = charts_of(recording, journeys, figures_of(recording, journeys))
    context = await browser.new_context(viewport=viewport, color_scheme=scheme)
    page = await context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    await page.goto(path.as_uri())
    assert asked == [path.as_uri()]
    assert not complaints
    await expect(page.locator("svg.chart")).to_have_count(len(charts))
    for chart in charts:
        drawn = page.locator(f"section[aria-labelledby={chart.name}] svg.chart")
        await expect(drawn).to_be_visible()
        for index, series in enumerate(chart.series):
            box = await drawn.locator("path").nth(index).bounding_box()
            assert box is not None, series.name
            assert box["width"] > 40, series.name
        if chart.bars:
            assert sum([(await bar.bounding_box() or {})["height"] for bar in await drawn.locator("rect").all()]) > 40
        assert chart.rows
    assert await page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    await assert_accessible(page)
    await screenshot(page, f"crowd-{scheme}-{viewport['width']}")
    for details in await page.locator("details").all():
        await details.locator("summary").click()
        await expect(details.locator("table")).to_be_visible()
    await assert_accessible(page)
    assert await page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    await context.close()


async def test_a_broken_promise_leads_the_report_and_names_its_examples(
    browser: Browser, tmp_path: Path, screenshot: Callable[[Page, str], Awaitable[None]]
) -> None:
    recording = ideal_recording(LIMITS, visitors=60)
    recording.events = [
        event._replace(position=6) if event.visitor == 7 and event.told else event for event in recording.events
    ]
    recording.events.append(recording.events[0]._replace(act=Act.STATUS, http=503, status=HOSTILE, position=0))
    recording.room = HOSTILE
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(written(recording, tmp_path).as_uri())
    await expect(page.locator(".verdict")).to_have_text("1 of 8 promises was broken.")
    row = page.get_by_role("row").filter(has_text="no position is given out twice")
    await expect(row).to_contain_text("✗ broken")
    await expect(row).to_contain_text("1 time: 59 positions")
    await expect(row).to_contain_text("position 6 of epoch 1: visitors 6, 7")
    await expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE)
    assert await page.evaluate("window.broken") is None
    await assert_accessible(page)
    await screenshot(page, "crowd-broken")
    await context.close()


@pytest.mark.parametrize("visitors", [0, 1])
def test_a_run_with_next_to_nobody_has_a_report_as_well(tmp_path: Path, visitors: int) -> None:
    recording = ideal_recording(LIMITS, visitors=1)
    recording.events = recording.events[:visitors]
    assert "How it ended" in written(recording, tmp_path).read_text()
