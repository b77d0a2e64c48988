"""The figures of a run: waits by arrival, outcomes, loads, estimates against the truth. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from app.simulate.crowd.journeys import Journey, Outcome
from app.simulate.crowd.plan import Kind
from app.simulate.crowd.record import HELD, IN_LINE, Act, Event, Recording

ARRIVAL_SLOTS = 20
HISTOGRAM_BARS = 16
TIME_SLOTS = 120
POLLS = frozenset({Act.STATUS, Act.RELOAD, Act.TAB})
ESTIMATE_SLACK_S = 1.0
"""Estimates are told in whole seconds."""


class ArrivalSlot(NamedTuple):
    """Those who arrived within the same part of the time."""

    from_s: float
    to_s: float
    came: int
    admitted: int
    median_s: float
    high_s: float
    """Nine in ten waited less."""


class Bar(NamedTuple):
    """One bar of a histogram."""

    from_s: float
    to_s: float
    visitors: int


class Moment(NamedTuple):
    """What happened within one slot of the run, a second long or a few."""

    at_s: float
    joins: float
    """A second; the next two as well."""
    polls: float
    errors: float
    lag_s: float
    """The longest."""
    line: int
    """Of this crowd, at the slot's end; the next two as well."""
    active: int
    admitted: int
    """Since the start."""


class Estimates(NamedTuple):
    """How told ranges compare with what came."""

    told: int
    within: int
    sooner: int
    later: int
    open_ended: int
    """Without an upper bound, which says too little to come true; these and the next are not among those told."""
    unseen: int
    """The truth was not seen: the visitor left, or the run ended before."""

    @property
    def share(self) -> float:
        """The part that came true."""
        return self.within / self.told if self.told else 0.0


class Spread(NamedTuple):
    """A set of numbers in brief."""

    mean: float
    median: float
    p95: float
    p99: float
    most: float


@dataclass(frozen=True)
class Figures:
    """All figures of a run."""

    outcomes: dict[Kind, Counter[Outcome]]
    waits: Spread
    arrivals: list[ArrivalSlot]
    histogram: list[Bar]
    moments: list[Moment]
    polls: Spread
    """A visitor."""
    polls_per_s: Spread
    lag: Spread
    """How late requests went out, in all."""
    queued: Spread
    """How much of that was the wait for a free connection."""
    answer: Spread
    """Seconds from a request's being sent to its answer."""
    estimates: Estimates
    """All that were told."""
    first_estimates: Estimates
    """Those told at joining."""
    errors: dict[str, int]
    requests: int
    cpu_share: float
    """Of one processor core."""


def figures_of(recording: Recording, journeys: Sequence[Journey]) -> Figures:
    """Work them out."""
    outcomes: dict[Kind, Counter[Outcome]] = {}
    for journey in journeys:
        outcomes.setdefault(journey.visitor.kind, Counter())[journey.outcome] += 1
    waits = [journey.wait_s for journey in journeys if journey.wait_s is not None]
    events = [event for event in recording.events if event.act is not Act.GIVE_UP]
    moments = moments_of(recording, journeys)
    return Figures(
        outcomes={kind: outcomes[kind] for kind in Kind if kind in outcomes},
        waits=spread_of(waits),
        arrivals=arrivals_of(journeys),
        histogram=histogram_of(waits),
        moments=moments,
        polls=spread_of(
            [sum(event.act in POLLS for event in journey.events) for journey in journeys if journey.events]
        ),
        polls_per_s=spread_of([moment.polls for moment in moments]),
        lag=spread_of([event.lag_s for event in events]),
        queued=spread_of([event.queued_s for event in events]),
        answer=spread_of([event.got_s - event.sent_s for event in events if event.http]),
        estimates=compare_estimates(recording, journeys, first_only=False),
        first_estimates=compare_estimates(recording, journeys, first_only=True),
        errors=errors_of(events),
        requests=len(events),
        cpu_share=recording.cpu_s / recording.took_s if recording.took_s else 0.0,
    )


def spread_of(values: Iterable[float]) -> Spread:
    """Mean, median, 95th and 99th percentile and the largest; zeros when there is nothing."""
    ordered = sorted(values)
    if not ordered:
        return Spread(0.0, 0.0, 0.0, 0.0, 0.0)
    return Spread(
        sum(ordered) / len(ordered),
        _quantile(ordered, 0.5),
        _quantile(ordered, 0.95),
        _quantile(ordered, 0.99),
        ordered[-1],
    )


def _quantile(ordered: Sequence[float], part: float) -> float:
    return ordered[max(0, ceil(part * len(ordered)) - 1)]


def arrivals_of(journeys: Iterable[Journey]) -> list[ArrivalSlot]:
    """Waits by the time of the first join, in equal slots of it."""
    came = [(journey.places[0].joined_s, journey.wait_s) for journey in journeys if journey.places]
    if not came:
        return []
    first, last = min(joined for joined, _ in came), max(joined for joined, _ in came)
    step = max((last - first) / ARRIVAL_SLOTS, 0.1)
    slots: list[list[float | None]] = [[] for _ in range(ARRIVAL_SLOTS)]
    for joined, wait in came:
        slots[min(ARRIVAL_SLOTS - 1, int((joined - first) / step))].append(wait)
    result = []
    for index, waits in enumerate(slots):
        known = sorted(wait for wait in waits if wait is not None)
        if waits:
            middle, high = (_quantile(known, 0.5), _quantile(known, 0.9)) if known else (0.0, 0.0)
            start = first + index * step
            result.append(ArrivalSlot(start, start + step, len(waits), len(known), middle, high))
    return result


def histogram_of(waits: Sequence[float]) -> list[Bar]:
    """Waits in equal steps."""
    if not waits:
        return []
    step = max(max(waits) / HISTOGRAM_BARS, 0.05)
    counts = Counter(min(HISTOGRAM_BARS - 1, int(wait / step)) for wait in waits)
    return [Bar(index * step, (index + 1) * step, counts[index]) for index in range(HISTOGRAM_BARS)]


def moments_of(recording: Recording, journeys: Iterable[Journey]) -> list[Moment]:
    """The run cut into slots of whole seconds."""
    step_s = max(1, ceil(recording.took_s / TIME_SLOTS))
    count = max(1, ceil(recording.took_s / step_s))
    joins, polls, errors, steps = Counter[int](), Counter[int](), Counter[int](), (Counter[int](), Counter[int]())
    lags: dict[int, float] = {}
    for event in recording.events:
        slot = min(count - 1, int(event.sent_s / step_s))
        joins[slot] += event.act is Act.JOIN
        polls[slot] += event.act in POLLS
        errors[slot] += is_error(event)
        lags[slot] = max(lags.get(slot, 0.0), event.lag_s)
    admitted = Counter[int]()
    for journey in journeys:
        for place in journey.places:
            over_s = place.left_s if place.left_s is not None else recording.took_s + step_s
            turn_s = place.admitted_s
            if turn_s is None and not (place.answers and place.answers[-1].status in IN_LINE):
                over_s = min(over_s, place.answers[-1].got_s)
            _add_span(steps[0], place.joined_s, min(over_s, turn_s if turn_s is not None else over_s), step_s)
            if turn_s is not None:
                admitted[min(count - 1, int(turn_s / step_s))] += 1
                last_s = place.answers[-1].got_s + place.answers[-1].left_s
                _add_span(steps[1], turn_s, min(over_s, last_s), step_s)
    moments, line, active, let_in = [], 0, 0, 0
    for slot in range(count):
        line += steps[0][slot]
        active += steps[1][slot]
        let_in += admitted[slot]
        rates = (joins[slot] / step_s, polls[slot] / step_s, errors[slot] / step_s)
        moments.append(Moment((slot + 1) * step_s, *rates, lags.get(slot, 0.0), line, active, let_in))
    return moments


def _add_span(steps: Counter[int], from_s: float, to_s: float, step_s: float) -> None:
    steps[int(from_s / step_s)] += 1
    steps[int(max(from_s, to_s) / step_s)] -= 1


def compare_estimates(recording: Recording, journeys: Iterable[Journey], *, first_only: bool) -> Estimates:
    """Told ranges against the turn, which came between two answers; whoever left before it proves nothing."""
    counts = Counter[str]()
    for journey in journeys:
        for place in journey.places:
            answers = [answer for answer in place.answers if answer.status == "waiting" and not answer.stale]
            for answer in answers[:1] if first_only else answers:
                end_s = recording.took_s if place.left_s is None else place.left_s
                counts[_compare(answer, place.admitted_after_s, place.admitted_s, end_s)] += 1
    told = counts["within"] + counts["sooner"] + counts["later"]
    return Estimates(told, counts["within"], counts["sooner"], counts["later"], counts["open"], counts["unseen"])


def _compare(answer: Event, after_s: float, admitted_s: float | None, end_s: float) -> str:
    if answer.high_s is None:
        return "open"
    latest_s = answer.got_s + answer.high_s + ESTIMATE_SLACK_S
    if admitted_s is None:
        return "later" if end_s > latest_s else "unseen"
    if admitted_s < answer.sent_s + answer.low_s - ESTIMATE_SLACK_S:
        return "sooner"
    return "later" if after_s > latest_s else "within"


def is_error(event: Event) -> bool:
    """Whether nothing came back, or a refusal; that the gate holds somebody is none."""
    if event.act is Act.GIVE_UP or event.status == HELD:
        return False
    return event.http == 0 or event.http >= 400


def errors_of(events: Iterable[Event]) -> dict[str, int]:
    """Refusals and silences by kind, the most frequent first."""
    counts = Counter(
        f"{event.act}: {event.http or 'no answer'} {event.status}".strip() for event in events if is_error(event)
    )
    return dict(counts.most_common())
