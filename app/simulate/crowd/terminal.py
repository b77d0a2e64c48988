"""The report in the terminal: figures, pictures of blocks, and the table of promises."""

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.simulate.crowd.figures import ArrivalSlot, Bar, Estimates, Figures
from app.simulate.crowd.journeys import Outcome
from app.simulate.crowd.record import End, Recording
from app.simulate.crowd.verdicts import Verdict

BAR_WIDTH = 30
SLOW_PLAYER_S = 1.0
MOST_ERRORS = 8

_ENDED = {
    End.ALL_DONE: "everybody was through",
    End.TIME_LIMIT: "the time limit was reached",
    End.INTERRUPTED: "it was interrupted",
}


def ended_by(end: End) -> str:
    """Until what the run went, in words."""
    return _ENDED[end]


def print_report(console: Console, recording: Recording, figures: Figures, verdicts: Sequence[Verdict]) -> None:
    """Print it all."""
    console.print(f"\nRan for {recording.took_s:.1f} s, until {ended_by(recording.ended)}.")
    console.print(outcomes_table(figures))
    if figures.arrivals:
        console.print(arrivals_picture(figures.arrivals))
        console.print(histogram_picture(figures.histogram))
    console.print(load_lines(figures, recording.connections))
    console.print(verdict_table(verdicts))


def outcomes_table(figures: Figures) -> Table:
    """Who came, and how it ended for them."""
    shown = [outcome for outcome in Outcome if any(counts[outcome] for counts in figures.outcomes.values())]
    table = Table(
        "kind",
        *(str(outcome) for outcome in shown),
        title="\nHow it ended",
        title_justify="left",
        title_style="bold",
        box=None,
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for kind, counts in figures.outcomes.items():
        table.add_row(str(kind), *(_count(outcome, counts[outcome]) for outcome in shown))
    return table


def _count(outcome: Outcome, count: int) -> str:
    style = "bold red" if outcome is Outcome.LOST else "yellow" if outcome is Outcome.LOST_BY_PLAYER else ""
    return f"[{style}]{count}[/{style}]" if style and count else str(count or "·")


def arrivals_picture(slots: Sequence[ArrivalSlot]) -> RenderableType:
    """Waits by arrival: the median as a full bar, up to nine in ten as a light one."""
    longest = max(slot.high_s for slot in slots) or 1.0
    lines = [Text("\nWaits by arrival time (█ median, ░ nine in ten)", style="bold")]
    for slot in slots:
        middle, high = (round(BAR_WIDTH * value / longest) for value in (slot.median_s, slot.high_s))
        line = Text(f"{slot.from_s:6.1f} s ")
        line.append("█" * middle, style="cyan")
        line.append("░" * (high - middle), style="cyan")
        line.append(" " * (BAR_WIDTH + 2 - max(middle, high)))
        told = f"{slot.median_s:.1f} s, {slot.high_s:.1f} s" if slot.admitted else "nobody yet"
        line.append(f"{told:16} {slot.admitted}/{slot.came} let in", style="dim")
        lines.append(line)
    return Group(*lines)


def histogram_picture(bars: Sequence[Bar]) -> RenderableType:
    """How many waited how long."""
    most = max((bar.visitors for bar in bars), default=0) or 1
    digits = 2 if bars and bars[-1].to_s < 5 else 1
    lines = [Text("\nHow long they waited", style="bold")]
    for bar in bars:
        line = Text(f"{bar.from_s:6.{digits}f} s ")
        line.append("█" * max(bar.visitors > 0, round(BAR_WIDTH * bar.visitors / most)), style="green")
        line.append(f" {bar.visitors}", style="dim")
        lines.append(line)
    return Group(*lines)


def load_lines(figures: Figures, connections: int) -> RenderableType:
    """What it cost, what was estimated, what went wrong."""
    polls, lag, queued, answer = figures.polls, figures.lag, figures.queued, figures.answer
    lines = [
        Text("\nLoad", style="bold"),
        Text(
            f"  polls a visitor: {polls.mean:.1f} on average, median {polls.median:.0f}, 95 in 100 at most "
            f"{polls.p95:.0f}, most {polls.most:.0f}; {figures.polls_per_s.most:.0f} a second at the peak"
        ),
        Text(
            f"  {figures.requests} requests, answered in {answer.median * 1000:.1f} ms (median), "
            f"{answer.p99 * 1000:.0f} ms (99 in 100), {answer.most * 1000:.0f} ms (longest)"
        ),
        Text(
            f"  the player's own lag: {lag.median * 1000:.1f} ms (median), {lag.p99 * 1000:.0f} ms (99 in 100), "
            f"{lag.most * 1000:.0f} ms (longest), using {figures.cpu_share:.0%} of a core",
            style="yellow" if lag.p99 > SLOW_PLAYER_S else "",
        ),
        Text(
            f"  of that, waiting for one of {connections} connections: {queued.median * 1000:.1f} ms (median), "
            f"{queued.p99 * 1000:.0f} ms (99 in 100), {queued.most * 1000:.0f} ms (longest)"
        ),
        Text(f"  estimates: {told_estimates(figures.estimates)}"),
        Text(f"  at joining: {told_estimates(figures.first_estimates)}"),
    ]
    if lag.p99 > SLOW_PLAYER_S:
        lines.append(Text(f"  {too_slow(figures)}", style="yellow"))
    if figures.errors:
        lines.append(Text("\nErrors by kind", style="bold"))
        shown = list(figures.errors.items())[:MOST_ERRORS]
        lines += [Text(f"  {count:6} × {kind}") for kind, count in shown]
        if len(figures.errors) > MOST_ERRORS:
            lines.append(Text(f"  and {len(figures.errors) - MOST_ERRORS} kinds more"))
    return Group(*lines)


def too_slow(figures: Figures) -> str:
    """Why requests went out late, and what that means."""
    if figures.queued.p99 > figures.lag.p99 / 2:
        return "Too few connections for answers this slow: visitors waited for one another. See --connections."
    return "The player could not keep up with its crowd: waits and answer times are its own doing too."


def told_estimates(figures: Estimates) -> str:
    """How estimates fared, in words."""
    rest = f"{figures.open_ended} more had no upper bound, of {figures.unseen} the truth was not seen"
    if not figures.told:
        return f"none to compare with the truth; {rest}"
    return (
        f"{figures.share:.1%} of {figures.told} ranges came true "
        f"({figures.sooner} sooner, {figures.later} later); {rest}"
    )


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """The promises, each with its colour."""
    table = Table("", "promise", "seen", title="\nPromises", title_justify="left", title_style="bold", box=None)
    for verdict in verdicts:
        table.add_row(_mark(verdict), verdict.promise, Text(told_verdict(verdict)))
        for example in verdict.examples:
            table.add_row("", "", Text(example, style="red"))
    return table


def _mark(verdict: Verdict) -> str:
    if verdict.holds is None:
        return "[yellow]– not checked[/yellow]"
    return "[green]✓ holds[/green]" if verdict.holds else "[bold red]✗ BROKEN[/bold red]"


def told_verdict(verdict: Verdict) -> str:
    """What was seen, in words."""
    if not verdict.broken:
        return verdict.detail
    return f"{verdict.broken} {'time' if verdict.broken == 1 else 'times'}: {verdict.detail}"
