"""The crowd while it plays: a picture that renews itself in a terminal, a line now and then anywhere else."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from app.simulate.crowd.figures import histogram_of
from app.simulate.crowd.player import Show
from app.simulate.crowd.record import Recording
from app.simulate.crowd.tally import STATES, Tally
from app.simulate.crowd.terminal import SLOW_PLAYER_S, histogram_picture

LINE_EVERY_S = 5.0
_STYLES = {
    "in line": "cyan",
    "on turn": "yellow",
    "inside": "green",
    "served": "dim green",
    "gave up": "dim",
    "out": "magenta",
}


@contextmanager
def live_view(console: Console) -> Iterator[Show]:
    """What is to be told how the run goes."""
    if not console.is_terminal:
        yield _Lines(console).show
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def show(now_s: float, tally: Tally, recording: Recording) -> None:
            live.update(picture(now_s, tally, recording), refresh=True)

        yield show


class _Lines:
    """Plain lines, one every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._due_s = 0.0

    def show(self, now_s: float, tally: Tally, recording: Recording) -> None:
        if now_s < self._due_s:
            return
        self._due_s = now_s + LINE_EVERY_S
        joins, others, lag_s = tally.rates(now_s)
        states = ", ".join(f"{tally.counts[state]} {state}" for state in STATES)
        self._console.print(
            f"{now_s:5.0f} s: {tally.arrived} of {tally.visitors} came; {states}; "
            f"{joins:.0f} joins/s, {others:.0f} polls/s, {tally.errors} errors, own lag {lag_s * 1000:.0f} ms",
            soft_wrap=True,
        )


def picture(now_s: float, tally: Tally, recording: Recording) -> RenderableType:
    """Everything at one glance."""
    joins, others, lag_s = tally.rates(now_s)
    heading = Text(f"{now_s:5.0f} s  ", style="bold")
    heading.append(f"{tally.arrived} of {tally.visitors} came")
    bar = Table.grid(padding=(0, 1))
    bar.add_row(heading, ProgressBar(total=tally.visitors, completed=tally.arrived, width=40))
    states = Table.grid(padding=(0, 3))
    states.add_row(*(Text(f"{tally.counts[state]:6} {state}", style=_STYLES[state]) for state in STATES))
    load = Text(f"{joins:6.0f} joins/s   {others:6.0f} polls/s   {tally.admitted:6} let in   ")
    load.append(f"{tally.errors:6} errors", style="red" if tally.errors else "dim")
    load.append(f"   own lag {lag_s * 1000:.0f} ms", style="yellow" if lag_s > SLOW_PLAYER_S else "dim")
    parts: list[RenderableType] = [bar, states, load, Text(_room(recording), style="dim")]
    if tally.waits_s:
        parts.append(histogram_picture(histogram_of(tally.waits_s)))
    return Group(*parts)


def _room(recording: Recording) -> str:
    if not recording.samples:
        return f"room {recording.room}"
    seen = recording.samples[-1]
    active = "" if seen.active is None else f", {seen.active} inside or on turn"
    return f"room {recording.room}: {seen.waiting} in line, served up to {seen.edge} of {seen.last}{active}"
