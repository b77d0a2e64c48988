"""What a crowd looks like in a terminal, and elsewhere."""

import asyncio
import os
import pty
import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console

from app.simulate.crowd.checks import check_all
from app.simulate.crowd.figures import figures_of
from app.simulate.crowd.journeys import journeys_of
from app.simulate.crowd.live import live_view
from app.simulate.crowd.record import Limits, Recording
from app.simulate.crowd.tally import Tally
from app.simulate.crowd.terminal import print_report
from tests.simulate.fake_room import fake_room
from tests.simulate.ideal import ideal_recording

CAP = Limits(max_active=8, counted=True)


def report(recording: Recording) -> str:
    console = Console(width=100, record=True, force_terminal=True, file=StringIO())
    journeys = journeys_of(recording.visitors, recording.events)
    print_report(console, recording, figures_of(recording, journeys), check_all(recording, journeys))
    return console.export_text()


def test_the_report_shows_waits_by_arrival_and_every_promise() -> None:
    text = report(ideal_recording(CAP, visitors=80))
    assert "Waits by arrival time" in text
    assert "█" in text
    assert text.count("✓ holds") == 6
    assert text.count("– not checked") == 2
    assert max(map(len, text.splitlines())) <= 100


def test_a_slow_player_says_so() -> None:
    recording = ideal_recording(CAP, visitors=20)
    assert "could not keep up" not in report(recording)
    recording.events = [event._replace(due_s=event.sent_s - 3) for event in recording.events]
    assert "could not keep up" in report(recording)
    recording.events = [event._replace(queued_s=2.5) for event in recording.events]
    assert "Too few connections" in report(recording)


@pytest.mark.parametrize("terminal", [True, False])
def test_the_live_view_tells_how_the_crowd_stands(terminal: bool, capsys: pytest.CaptureFixture[str]) -> None:
    recording = ideal_recording(CAP, visitors=80)
    tally = Tally(80)
    with live_view(Console(width=100, force_terminal=terminal)) as show:
        for event in recording.events:
            tally.note(event)
        show(7.0, tally, recording)
    out = capsys.readouterr().out
    assert "80 of 80" in out
    assert f"{tally.counts['served']} served" in out
    assert ("How long they waited" in out) is terminal


def _start(url: str, terminal: int) -> subprocess.Popen[bytes]:
    words = ("-n", "20", "--over", "1", "--stay", "0.1", "--mix", "patient=1")
    return subprocess.Popen(
        [sys.executable, "-m", "app", "simulate", "crowd", "--url", url, *words],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "COLUMNS": "100", "TERM": "xterm-256color"},
        stdout=terminal,
        stderr=terminal,
    )


def _read_all(terminal: int) -> str:
    parts = []
    while True:
        try:
            parts.append(os.read(terminal, 65536))
        except OSError:  # the other end is closed
            break
    os.close(terminal)
    return b"".join(parts).decode()


async def test_in_a_real_terminal_the_picture_renews_itself_and_the_report_stays() -> None:
    ours, theirs = pty.openpty()
    async with fake_room() as room:
        process = await asyncio.to_thread(_start, room.url, theirs)
        os.close(theirs)
        out = await asyncio.to_thread(_read_all, ours)
        assert await asyncio.to_thread(process.wait, 30) == 0, out
    assert "\x1b[?25l" in out, "the cursor is hidden while the picture moves"
    assert "joins/s" in out
    assert "Promises" in out
