"""The report's charts as geometry: what the template draws as SVG. Pure.

A chart carries its own table, so that nothing in it is for eyes only.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, log10
from typing import NamedTuple

from app.simulate.crowd.checks import batches_allow, rate_allows
from app.simulate.crowd.figures import Figures, Moment
from app.simulate.crowd.journeys import Journey
from app.simulate.crowd.record import Limits, Recording

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 14, 14, 46
TICKS = 6
TABLE_ROWS = 24
LEAST = 1e-6
"""What is smaller is nothing."""
MOST_DOTS = 6000


class Tick(NamedTuple):
    """A mark on an axis: where, and what it says."""

    at: float
    text: str


class Rect(NamedTuple):
    """A bar, and what it says when pointed at."""

    x: float
    y: float
    width: float
    height: float
    says: str


class Series(NamedTuple):
    """One line, area or cloud of a chart. `look` names its colour and stroke in the template."""

    name: str
    look: str
    path: str


@dataclass(frozen=True)
class Chart:
    """One figure of the report."""

    name: str
    title: str
    caption: str
    """What there is to see, as a sentence."""
    x_label: str
    y_label: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    series: list[Series]
    bars: list[Rect]
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    """The table; the first column names the row."""


class Scale:
    """Values of an axis as places in the picture."""

    def __init__(self, most: float, start: float, end: float, *, to_round: bool) -> None:
        """From 0 to `most`, or a round number from there on, drawn between `start` and `end`."""
        most = most if most > LEAST else 0.0
        self.step = _round_step(most / TICKS)
        self.most = max(self.step, ceil(most / self.step - 1e-9) * self.step) if to_round or most == 0 else most
        self._start = start
        self._per_unit = (end - start) / self.most

    def __call__(self, value: float) -> float:
        return round(self._start + min(value, self.most) * self._per_unit, 1)

    def ticks(self) -> list[Tick]:
        """A mark at every step."""
        return [
            Tick(self(index * self.step), f"{index * self.step:,g}")
            for index in range(floor(self.most / self.step + 1e-9) + 1)
        ]


def _round_step(least: float) -> float:
    """The next of 1, 2, 5, 10, 20, …"""
    if least <= 0:
        return 1.0
    power = 10.0 ** floor(log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def x_scale(most: float) -> Scale:
    """The axis to the right."""
    return Scale(most, LEFT, WIDTH - RIGHT, to_round=False)


def y_scale(most: float) -> Scale:
    """The axis upwards."""
    return Scale(most, HEIGHT - BOTTOM, TOP, to_round=True)


def charts_of(recording: Recording, journeys: Sequence[Journey], figures: Figures) -> list[Chart]:
    """The charts of a run, in the order of the report; those without anything to show are left out."""
    moments, limits = figures.moments, recording.limits or Limits()
    charts = [waits_chart(recording, journeys, figures)] if figures.arrivals else []
    if figures.histogram:
        charts.append(histogram_chart(figures))
    charts += [
        admissions_chart(moments, limits),
        line_chart(moments),
        active_chart(moments, limits),
        load_chart(moments),
    ]
    return [*charts, lag_chart(moments)]


def waits_chart(recording: Recording, journeys: Sequence[Journey], figures: Figures) -> Chart:
    """A dot for every visitor, a line for the middle of them."""
    let_in, others = [], []
    came = [journey for journey in journeys if journey.places]
    for journey in came[:: ceil(len(came) / MOST_DOTS)]:
        first = journey.places[0]
        end_s = recording.took_s if first.left_s is None else first.left_s
        if journey.wait_s is not None:
            let_in.append((first.joined_s, journey.wait_s))
        else:
            others.append((first.joined_s, max(0.0, end_s - first.joined_s)))
    x = x_scale(max(at for at, _ in [*let_in, *others]))
    y = y_scale(max(wait for _, wait in [*let_in, *others]))
    middle = [((slot.from_s + slot.to_s) / 2, slot.median_s) for slot in figures.arrivals if slot.admitted]
    series = [Series("let in", "dots-a", _dots(let_in, x, y))]
    if others:
        series.append(Series("left before, or still in line at the end", "dots-b", _dots(others, x, y)))
    series.append(Series("median", "line-strong", _line(middle, x, y)))
    return Chart(
        "waits",
        "Waits by arrival time",
        "Each dot is a visitor: when they came, and how long until their turn.",
        "seconds into the run, at joining",
        "seconds waited",
        x.ticks(),
        y.ticks(),
        series,
        [],
        ("arrived, s", "came", "let in", "median wait, s", "nine in ten within, s"),
        [
            (
                f"{slot.from_s:.1f}–{slot.to_s:.1f}",
                f"{slot.came}",
                f"{slot.admitted}",
                f"{slot.median_s:.1f}" if slot.admitted else "–",
                f"{slot.high_s:.1f}" if slot.admitted else "–",
            )
            for slot in figures.arrivals
        ],
    )


def histogram_chart(figures: Figures) -> Chart:
    """How many waited how long."""
    x = x_scale(figures.histogram[-1].to_s)
    y = y_scale(max(bar.visitors for bar in figures.histogram))
    bars = [
        Rect(
            x(bar.from_s) + 1,
            y(bar.visitors),
            round(x(bar.to_s) - x(bar.from_s) - 2, 1),
            round(y(0) - y(bar.visitors), 1),
            f"{bar.from_s:.1f} to {bar.to_s:.1f} s: {bar.visitors}",
        )
        for bar in figures.histogram
    ]
    return Chart(
        "histogram",
        "How long they waited",
        f"Half of those let in waited {figures.waits.median:.1f} s or less, 95 in 100 no more than {figures.waits.p95:.1f} s.",
        "seconds waited",
        "visitors",
        x.ticks(),
        y.ticks(),
        [],
        bars,
        ("wait, s", "visitors"),
        [(f"{bar.from_s:.1f}–{bar.to_s:.1f}", f"{bar.visitors}") for bar in figures.histogram],
    )


def admissions_chart(moments: Sequence[Moment], limits: Limits) -> Chart:
    """Turns since the start, under what the limits would have allowed."""
    first_s = next((before.at_s for before, now in pairwise([_BEFORE, *moments]) if now.admitted), 0.0)
    allows = _allowance(limits)
    seen = [(0.0, 0.0), *((moment.at_s, float(moment.admitted)) for moment in moments)]
    x, y = x_scale(moments[-1].at_s), y_scale(max(1.0, moments[-1].admitted * 1.15))
    series = [Series("turns seen", "area-a", _area(seen, x, y)), Series("", "line-a", _line(seen, x, y))]
    columns: tuple[str, ...] = ("at, s", "turns seen")
    rows: list[tuple[str, ...]] = [(f"{moment.at_s:g}", f"{moment.admitted}") for moment in moments]
    caption = "Turns since the start; what the limits allow is not known, or the room has none that paces the line."
    if allows is not None:
        allowed = [(moment.at_s, allows(max(0.0, moment.at_s - first_s))) for moment in moments]
        inside = [point for point in allowed if point[1] <= y.most]
        series.append(Series("allowed since the first turn", "line-limit", _line(inside, x, y)))
        columns = (*columns, "allowed")
        rows = [(*row, f"{most:,.0f}") for row, (_, most) in zip(rows, allowed, strict=True)]
        caption = "Turns since the start, and what pace and burst have allowed since the first of them."
    return Chart(
        "admissions",
        "Admissions against the limits",
        caption,
        "seconds into the run",
        "turns since the start",
        x.ticks(),
        y.ticks(),
        series,
        [],
        columns,
        _thinned(rows),
    )


_BEFORE = Moment(0.0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0)


def _allowance(limits: Limits) -> Callable[[float], float] | None:
    by = [rate_allows(limits)] if limits.rate_per_minute is not None else []
    if limits.batch is not None:
        by.append(batches_allow(limits))
    return (lambda seconds: min(allows(seconds) for allows in by)) if by else None


def line_chart(moments: Sequence[Moment]) -> Chart:
    """How many of the crowd wait."""
    return _over_time(
        "line",
        "In line",
        f"At most {max(moment.line for moment in moments):,} of the crowd waited at once.",
        "visitors in line",
        [("in line", "a", [moment.line for moment in moments])],
        moments,
    )


def active_chart(moments: Sequence[Moment], limits: Limits) -> Chart:
    """How many of the crowd hold a turn or a session."""
    title, limit = "Inside or on turn", None
    caption = f"At most {max(moment.active for moment in moments):,} of the crowd were inside or on turn at once"
    if limits.max_active is not None:
        title, limit = f"{title}, against maxActive", ("maxActive", limits.max_active)
        caption += f"; {limits.max_active:,} may be. Visits that end by themselves end here when last heard of"
    columns = [("inside or on turn", "a", [moment.active for moment in moments])]
    return _over_time("active", title, f"{caption}.", "visitors", columns, moments, limit=limit)


def load_chart(moments: Sequence[Moment]) -> Chart:
    """What the crowd asks of the service."""
    columns = [
        ("polls", "a", [moment.polls for moment in moments]),
        ("joins", "b", [moment.joins for moment in moments]),
    ]
    if any(moment.errors for moment in moments):
        columns.append(("errors and refusals", "bad", [moment.errors for moment in moments]))
    return _over_time(
        "load",
        "Requests a second",
        f"At the peak {max(moment.polls for moment in moments):,.0f} polls and "
        f"{max(moment.joins for moment in moments):,.0f} joins a second.",
        "a second",
        columns,
        moments,
    )


def lag_chart(moments: Sequence[Moment]) -> Chart:
    """How late the player itself was."""
    return _over_time(
        "lag",
        "The player's own lag",
        "How much later than meant the latest request of each moment went out, waiting for a connection included.",
        "milliseconds, longest",
        [("own lag", "b", [moment.lag_s * 1000 for moment in moments])],
        moments,
    )


def _over_time(
    name: str,
    title: str,
    caption: str,
    y_label: str,
    columns: Sequence[tuple[str, str, Sequence[float]]],
    moments: Sequence[Moment],
    *,
    limit: tuple[str, float] | None = None,
) -> Chart:
    times = [moment.at_s for moment in moments]
    most = max(max(values) for _, _, values in columns)
    x, y = x_scale(times[-1]), y_scale(max(most, limit[1] if limit else 0.0, 1.0))
    series = []
    for index, (says, look, values) in enumerate(columns):
        points = list(zip(times, values, strict=True))
        if index == 0:
            series.append(Series("", f"area-{look}", _area(points, x, y)))
        series.append(Series(says, f"line-{look}", _line(points, x, y)))
    if limit:
        series.append(Series(limit[0], "line-limit", _line([(0.0, limit[1]), (times[-1], limit[1])], x, y)))
    rows = [(f"{at_s:g}", *(f"{values[index]:,.0f}" for _, _, values in columns)) for index, at_s in enumerate(times)]
    return Chart(
        name,
        title,
        caption,
        "seconds into the run",
        y_label,
        x.ticks(),
        y.ticks(),
        series,
        [],
        ("at, s", *(says for says, _, _ in columns)),
        _thinned(rows),
    )


def _line(points: Iterable[tuple[float, float]], x: Scale, y: Scale) -> str:
    text = "L".join(f"{x(at):g} {y(value):g}" for at, value in points)
    return f"M{text}" if text else ""


def _area(points: Sequence[tuple[float, float]], x: Scale, y: Scale) -> str:
    if not points:
        return ""
    return f"{_line(points, x, y)}L{x(points[-1][0]):g} {y(0):g}L{x(points[0][0]):g} {y(0):g}Z"


def _dots(points: Iterable[tuple[float, float]], x: Scale, y: Scale) -> str:
    """Each a stroke of no length, which round ends make a dot."""
    return "".join(f"M{x(at):g} {y(value):g}h0" for at, value in points)


def _thinned(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Evenly chosen rows, the last one among them."""
    step = max(1, ceil(len(rows) / TABLE_ROWS))
    return rows[::-1][::step][::-1] if rows else rows
