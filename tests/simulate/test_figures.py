"""The figures of a run, and the running count beside them, from what was recorded."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.simulate.crowd.charts import Scale, charts_of
from app.simulate.crowd.checks import check_all
from app.simulate.crowd.figures import Figures, figures_of, histogram_of, spread_of
from app.simulate.crowd.journeys import Outcome, journeys_of
from app.simulate.crowd.plan import Kind
from app.simulate.crowd.record import Act, Event, Limits, Recording
from app.simulate.crowd.summary import summary_of
from app.simulate.crowd.tally import Tally
from tests.simulate.ideal import ideal_recording

CAP = Limits(max_active=8, counted=True)


def figures(recording: Recording) -> Figures:
    return figures_of(recording, journeys_of(recording.visitors, recording.events))


def test_waits_and_arrivals_count_everybody_once() -> None:
    recording = ideal_recording(CAP, visitors=100)
    made = figures(recording)
    assert sum(slot.came for slot in made.arrivals) == 100
    assert sum(bar.visitors for bar in made.histogram) == sum(slot.admitted for slot in made.arrivals)
    assert sum(counts.total() for counts in made.outcomes.values()) == 100
    assert made.outcomes[Kind.PATIENT] == {Outcome.SERVED: 75}
    assert made.moments[-1].admitted == sum(slot.admitted for slot in made.arrivals)
    assert max(moment.active for moment in made.moments) <= 8


def test_estimates_that_did_not_come_true_are_told_apart() -> None:
    recording = ideal_recording(CAP, visitors=60)
    honest = figures(recording).estimates
    assert honest.share == 1.0
    waits = [index for index, event in enumerate(recording.events) if event.status == "waiting"]
    hopeful, gloomy, vague = waits[5], waits[6], waits[7]
    kinds = [recording.visitors[recording.events[index].visitor - 1].kind for index in (hopeful, gloomy, vague)]
    assert set(kinds) == {Kind.PATIENT}
    recording.events[hopeful] = recording.events[hopeful]._replace(low_s=0.0, high_s=-5.0)
    recording.events[gloomy] = recording.events[gloomy]._replace(low_s=5000.0, high_s=6000.0)
    recording.events[vague] = recording.events[vague]._replace(high_s=None)
    made = figures(recording).estimates
    assert (made.later, made.sooner, made.open_ended) == (1, 1, 1)
    assert made.within == honest.within - 3


def test_an_estimate_of_somebody_who_left_before_the_turn_proves_nothing_until_its_end() -> None:
    recording = ideal_recording(CAP, visitors=60)
    gone = next(event.visitor for event in recording.events if event.act is Act.GIVE_UP)
    waits = [
        index for index, event in enumerate(recording.events) if event.visitor == gone and event.status == "waiting"
    ]
    before = figures(recording).estimates
    recording.events[waits[0]] = recording.events[waits[0]]._replace(high_s=1000.0)
    assert figures(recording).estimates.later == before.later
    recording.events[waits[0]] = recording.events[waits[0]]._replace(high_s=0.1)
    assert figures(recording).estimates.later == before.later + 1


def test_errors_are_counted_by_kind() -> None:
    recording = ideal_recording(CAP, visitors=5)
    silence = Event(1, Act.STATUS, 1.0, 1.0, 2.0, 0, "timeout")
    refusal = Event(1, Act.JOIN, 1.0, 1.0, 2.0, 503, "joins-held")
    recording.events += [silence, refusal, refusal]
    assert figures(recording).errors == {"join: 503 joins-held": 2, "status: no answer timeout": 1}


def test_own_lag_is_the_time_between_meaning_to_and_sending() -> None:
    recording = ideal_recording(CAP, visitors=5)
    assert figures(recording).lag.most == 0
    recording.events[0] = recording.events[0]._replace(due_s=recording.events[0].sent_s - 2.5)
    assert figures(recording).lag.most == pytest.approx(2.5)


@given(values=st.lists(st.floats(0, 1e6)))
def test_a_spread_lies_between_its_ends(values: list[float]) -> None:
    spread = spread_of(values)
    assert spread.median <= spread.p95 <= spread.p99 <= spread.most
    assert spread.most == (max(values) if values else 0)
    assert sum(bar.visitors for bar in histogram_of(values)) == len(values)


@given(most=st.floats(0, 1e9), to_round=st.booleans())
def test_an_axis_reaches_as_far_as_its_values_with_few_marks(most: float, to_round: bool) -> None:
    scale = Scale(most, 0, 1000, to_round=to_round)
    assert scale.most >= most * (1 - 1e-9)
    assert scale.ticks()[0].at == 0
    assert 1 <= len(scale.ticks()) <= 8


@given(visitors=st.integers(1, 60), seed=st.integers(0, 1000))
def test_the_running_count_ends_where_the_journeys_end(visitors: int, seed: int) -> None:
    recording = ideal_recording(CAP, visitors=visitors, seed=seed)
    tally = Tally(visitors)
    for event in recording.events:
        tally.note(event)
    outcomes = [journey.outcome for journey in journeys_of(recording.visitors, recording.events)]
    assert tally.counts["served"] == outcomes.count(Outcome.SERVED)
    assert tally.counts["gave up"] == outcomes.count(Outcome.GAVE_UP)
    assert tally.arrived == visitors
    assert tally.admitted == len(tally.waits_s) == sum(bar.visitors for bar in figures(recording).histogram)


def test_the_summary_is_json_and_charts_have_tables() -> None:
    recording = ideal_recording(CAP, visitors=30)
    journeys = journeys_of(recording.visitors, recording.events)
    made = figures_of(recording, journeys)
    summary = json.loads(json.dumps(summary_of(recording, made, check_all(recording, journeys))))
    assert summary["outcomes"]["impatient"] == {str(k): v for k, v in made.outcomes[Kind.IMPATIENT].items()}
    assert {promise["holds"] for promise in summary["promises"]} == {True, None}
    for chart in charts_of(recording, journeys, made):
        assert chart.rows
        assert all(len(row) == len(chart.columns) for row in chart.rows)
        assert len(chart.rows) <= 30
