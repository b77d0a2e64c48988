"""The pictures of a played crowd for docs/simulate.md, from a real run of some 70 seconds: part of `make screenshots`."""

import asyncio
import sys
import tempfile
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import uvloop
from playwright.async_api import async_playwright
from rich.console import Console

from app.simulate.crowd.checks import check_all
from app.simulate.crowd.figures import figures_of
from app.simulate.crowd.journeys import journeys_of
from app.simulate.crowd.live import picture
from app.simulate.crowd.page import render_page
from app.simulate.crowd.plan import Shape, Wish
from app.simulate.crowd.player import Player
from app.simulate.crowd.record import Recording
from app.simulate.crowd.tally import Tally
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.simulate.conftest import TOKEN, make_room
from tests.support.replicas import Replica

IMAGES = Path(__file__).parents[2] / "docs" / "images"
ROOM = {"ratePerMinute": 6000, "maxActive": 1000, "claimSeconds": 10}
WIDTH = 900


def wish_of(visitors: int) -> Wish:
    """The crowd of docs/simulate.md."""
    return Wish(visitors, 1, Shape.SPIKE, 30.0, patience_s=25.0, stay_s=5.0)


async def play(url: str, visitors: int) -> tuple[Recording, str]:
    """The run, and its live view when most have come, as SVG."""
    await make_room(url, "sale", **ROOM)
    player = Player(wish_of(visitors), "sale", [url], token=TOKEN)
    live: list[str] = []

    def show(now_s: float, tally: Tally, recording: Recording) -> None:
        if now_s >= 22 and not live:
            console = Console(width=96, record=True, force_terminal=True, file=StringIO())
            console.print(picture(now_s, tally, recording))
            live.append(console.export_svg(title="stanchion simulate crowd"))

    recording = await player.play(300, asyncio.Event(), show)
    await player.clear_away()
    return recording, live[0]


async def take(recording: Recording, live_svg: str, folder: Path) -> None:
    """Both pictures; rich's font is not at hand everywhere, and nothing is fetched."""
    journeys = journeys_of(recording.visitors, recording.events)
    html = render_page(
        recording, journeys, figures_of(recording, journeys), check_all(recording, journeys), datetime.now(UTC)
    )
    report = folder / "report.html"
    report.write_text(html, encoding="utf-8")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = await browser.new_context(
            viewport={"width": WIDTH, "height": 800}, color_scheme="light", offline=True
        )
        page = await context.new_page()
        svg = live_svg.replace("Fira Code", "DejaVu Sans Mono")
        await page.set_content(f"<body style='margin:0'><div style='width:{WIDTH}px'>{svg}</div>")
        await page.locator("svg").first.screenshot(path=IMAGES / "crowd-live.png")
        await page.goto(report.as_uri())
        waits = await page.locator("section[aria-labelledby=waits]").bounding_box()
        assert waits is not None
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": waits["y"] + waits["height"] + 8}
        await page.screenshot(path=IMAGES / "crowd-report.png", full_page=True, clip=clip)
        await browser.close()


def main(visitors: int = 5000) -> None:
    """Start a service, play, take the pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        replica = Replica(folder, None, ADMIN_TOKEN=TOKEN, LOG_LEVEL="warning").start()
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                recording, live_svg = runner.run(play(replica.url, visitors))
        finally:
            replica.close()
        asyncio.run(take(recording, live_svg, folder))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
