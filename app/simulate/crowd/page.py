"""The report as one HTML file that needs nothing else: no network, no scripts."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.errors import StanchionError
from app.simulate.crowd.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, charts_of
from app.simulate.crowd.figures import Figures
from app.simulate.crowd.journeys import Journey, Outcome
from app.simulate.crowd.record import Recording
from app.simulate.crowd.terminal import SLOW_PLAYER_S, ended_by, told_estimates, told_verdict, too_slow
from app.simulate.crowd.verdicts import Verdict

_HERE = Path(__file__).parent


class NotWritten(StanchionError):
    """The report could not be written."""

    kind = "not-written"
    title = "No report"


def write_page(path: Path, html: str) -> None:
    """Write the file, replacing what was there.

    Raises:
        NotWritten: it cannot be written there.
    """
    try:
        path.write_text(html, encoding="utf-8")
    except OSError as error:
        raise NotWritten(f"The report cannot be written to {path}: {error.strerror}.") from None


def check_writable(path: Path) -> None:
    """Find out before a long run, not after it, that a report could not be written.

    Raises:
        NotWritten: it could not.
    """
    try:
        was_there = path.exists()
        with path.open("a", encoding="utf-8"):
            pass
        if not was_there:
            path.unlink()
    except OSError as error:
        raise NotWritten(f"The report cannot be written to {path}: {error.strerror}.") from None


def render_page(
    recording: Recording, journeys: Sequence[Journey], figures: Figures, verdicts: Sequence[Verdict], now: datetime
) -> str:
    """The whole page. `now` is when the run ended."""
    outcomes = [outcome for outcome in Outcome if any(counts[outcome] for counts in figures.outcomes.values())]
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html").render(
        wish=recording.wish,
        recording=recording,
        figures=figures,
        verdicts=[(verdict, told_verdict(verdict)) for verdict in verdicts],
        broken=sum(verdict.holds is False for verdict in verdicts),
        unchecked=sum(verdict.holds is None for verdict in verdicts),
        outcomes=outcomes,
        estimates=told_estimates(figures.estimates),
        first_estimates=told_estimates(figures.first_estimates),
        slow=too_slow(figures) if figures.lag.p99 > SLOW_PLAYER_S else "",
        ended=ended_by(recording.ended),
        charts=charts_of(recording, journeys, figures),
        frame={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM},
        when=now.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
