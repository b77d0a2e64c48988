"""The checks of a crowd: an ideal service passes all of them, and each planted violation is found by its own."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.simulate.crowd.checks import Verdict, check_all, holds_of, most_at_once
from app.simulate.crowd.figures import figures_of
from app.simulate.crowd.journeys import JOINING_S, Outcome, journeys_of
from app.simulate.crowd.plan import Kind
from app.simulate.crowd.record import Act, Event, Limits, Recording, Sample
from tests.simulate.ideal import ideal_recording

BATCHES = Limits(batch=5, interval_s=4.0)
RATE = Limits(rate_per_minute=120, burst=2, counted=True)
CAP = Limits(max_active=8, counted=True)
ALL = Limits(batch=6, interval_s=4.0, rate_per_minute=120, burst=4, max_active=12, counted=True)


def verdicts_of(recording: Recording) -> dict[str, Verdict]:
    journeys = journeys_of(recording.visitors, recording.events)
    return {verdict.name: verdict for verdict in check_all(recording, journeys)}


def broken_in(recording: Recording) -> set[str]:
    return {name for name, verdict in verdicts_of(recording).items() if verdict.holds is False}


def change(recording: Recording, which: Callable[[Event], bool], how: Callable[[Event], Event]) -> int:
    """Plant something: change the events that fit; how many did."""
    hits = [index for index, event in enumerate(recording.events) if which(event)]
    for index in hits:
        recording.events[index] = how(recording.events[index])
    return len(hits)


@given(
    limits=st.sampled_from([BATCHES, RATE, CAP, ALL]),
    visitors=st.integers(1, 80),
    over_s=st.floats(0.0, 30.0),
    seed=st.integers(0, 10_000),
)
def test_an_ideal_service_breaks_nothing(limits: Limits, visitors: int, over_s: float, seed: int) -> None:
    recording = ideal_recording(limits, visitors=visitors, over_s=over_s, seed=seed)
    verdicts = verdicts_of(recording)
    assert not broken_in(recording)
    for name, limit in (("batches", limits.batch), ("rate", limits.rate_per_minute), ("active", limits.max_active)):
        assert (verdicts[name].holds is None) == (limit is None)
    figures = figures_of(recording, journeys_of(recording.visitors, recording.events))
    assert figures.estimates.told == figures.estimates.within


def test_a_position_given_to_two_visitors_is_found() -> None:
    recording = ideal_recording(BATCHES)
    assert change(recording, lambda e: e.visitor == 7 and e.told, lambda e: e._replace(position=6))
    verdict = verdicts_of(recording)["unique"]
    assert verdict.holds is False
    assert verdict.examples == ("position 6 of epoch 1: visitors 6, 7",)


def test_a_position_of_another_epoch_is_another_place() -> None:
    recording = ideal_recording(BATCHES)
    change(recording, lambda e: e.visitor == 7 and e.told, lambda e: e._replace(position=6, epoch=2))
    assert verdicts_of(recording)["unique"].holds


def test_a_reload_that_gives_another_place_is_found() -> None:
    recording = ideal_recording(BATCHES)
    waiting = next(event for event in recording.events if event.status == "waiting" and event.act is Act.STATUS)
    recording.events.append(waiting._replace(act=Act.RELOAD, position=999, got_s=waiting.got_s + 0.01))
    assert broken_in(recording) == {"kept"}


def test_a_reload_after_a_reset_gives_a_new_place_while_a_tab_still_tells_of_the_old_one() -> None:
    recording = ideal_recording(BATCHES, visitors=30)
    waits = [event for event in recording.events if event.visitor == 30 and event.status == "waiting"]
    recording.events = [event for event in recording.events if event.visitor != 30 or event.act is Act.JOIN]
    later = waits[-1]._replace(due_s=100.0, sent_s=100.0, got_s=100.1)
    reload = later._replace(act=Act.RELOAD, epoch=2, position=3)
    recording.events += [reload, later._replace(act=Act.TAB, status="reset", got_s=100.2)]
    assert not broken_in(recording)
    journey = journeys_of(recording.visitors, recording.events)[-1]
    assert journey.outcome is Outcome.IN_LINE
    assert [(place.epoch, place.position) for place in journey.places] == [(1, 30), (2, 3)]


def test_a_reload_that_came_too_late_for_the_turn_by_the_players_fault_proves_nothing() -> None:
    recording = ideal_recording(BATCHES, visitors=30)
    waits = [event for event in recording.events if event.visitor == 30 and event.status == "waiting"]
    recording.events = [event for event in recording.events if event.visitor != 30 or event.act is Act.JOIN]
    reload = waits[-1]._replace(act=Act.RELOAD, position=31, due_s=90.0, sent_s=100.0, got_s=100.1)
    recording.events.append(reload)
    assert not broken_in(recording)
    recording.events[-1] = reload._replace(due_s=100.0)
    assert broken_in(recording) == {"kept"}


def test_somebody_let_in_before_an_earlier_one_is_found() -> None:
    recording = ideal_recording(BATCHES)
    last = max(event.position for event in recording.events)
    overtaker = next(v for v in reversed(recording.visitors) if v.kind is Kind.PATIENT)
    assert overtaker.number > last - 10
    joined = next(event for event in recording.events if event.visitor == overtaker.number)
    recording.events = [event for event in recording.events if event.visitor != overtaker.number]
    recording.events.append(joined._replace(status="active", left_s=30.0))
    verdict = verdicts_of(recording)["order"]
    assert verdict.holds is False
    assert f"position {overtaker.number} was let in" in verdict.examples[0]


def test_who_was_passed_over_may_be_overtaken() -> None:
    recording = ideal_recording(BATCHES)
    waits = [event for event in recording.events if event.visitor == 30 and event.status == "waiting"]
    late = waits[-1]._replace(sent_s=90.0, got_s=90.1)
    recording.events.append(late)
    assert "order" in broken_in(recording)
    recording.events[-1] = late._replace(status="passed")
    assert "order" not in broken_in(recording)


def test_a_rising_number_ahead_is_found() -> None:
    recording = ideal_recording(BATCHES)
    waits = [event for event in recording.events if event.visitor == 50 and event.status == "waiting"]
    worse = waits[-1]
    index = recording.events.index(worse)
    recording.events[index] = worse._replace(ahead=waits[0].ahead + 1)
    assert broken_in(recording) == {"forward"}
    recording.events[index] = worse._replace(ahead=waits[0].ahead + 1, stale=True)
    assert broken_in(recording) == set()


def test_a_number_ahead_may_rise_by_those_who_came_back_to_the_front() -> None:
    recording = ideal_recording(BATCHES)
    waits = [event for event in recording.events if event.visitor == 50 and event.status == "waiting"]
    index = recording.events.index(waits[-1])
    recording.events[index] = waits[-1]._replace(ahead=waits[-2].ahead + 1)
    earlier = next(event for event in recording.events if event.visitor == 20 and event.status == "waiting")
    recording.events.append(earlier._replace(status="passed"))
    assert "forward" not in broken_in(recording)


def test_more_inside_than_may_be_is_found_from_outside() -> None:
    recording = ideal_recording(CAP)
    assert recording.limits is not None
    assert verdicts_of(recording)["active"].holds
    most = most_at_once([hold for j in journeys_of(recording.visitors, recording.events) for hold in holds_of(j)])[0]
    recording.limits = recording.limits._replace(max_active=most - 1)
    assert broken_in(recording) == {"active"}


def test_more_inside_than_may_be_is_found_in_the_operators_figure() -> None:
    recording = ideal_recording(CAP)
    recording.samples.append(Sample(3.0, 0, 0, 0, 9))
    assert broken_in(recording) == {"active"}


@pytest.mark.parametrize(
    ("kept", "claimed", "name"),
    [
        (RATE, RATE._replace(rate_per_minute=60), "rate"),
        (BATCHES, BATCHES._replace(batch=3), "batches"),
        (BATCHES, BATCHES._replace(interval_s=8.0), "batches"),
    ],
)
def test_a_line_that_moves_faster_than_it_may_is_found(kept: Limits, claimed: Limits, name: str) -> None:
    recording = ideal_recording(kept, visitors=120)
    recording.limits = claimed
    assert broken_in(recording) == {name}


def test_a_burst_of_turns_in_a_slow_run_is_found() -> None:
    recording = ideal_recording(RATE, visitors=40, over_s=60.0)
    joined = {event.visitor: event for event in recording.events if event.act is Act.JOIN}
    recording.events = [event for event in recording.events if event.visitor <= 20]
    for number in range(21, 41):
        at_once = joined[number]._replace(due_s=100.0, sent_s=100.0, got_s=100.02, status="active", left_s=30.0)
        recording.events.append(at_once)
    assert broken_in(recording) == {"rate"}


@pytest.mark.parametrize(
    ("http", "status"), [(200, "expired"), (200, "ended"), (200, "closed"), (401, "ticket-refused"), (410, "expired")]
)
def test_a_visitor_who_stayed_and_is_out_is_found(http: int, status: str) -> None:
    recording = ideal_recording(BATCHES)
    number = next(v.number for v in reversed(recording.visitors) if v.kind is Kind.PATIENT)
    waits = [event for event in recording.events if event.visitor == number and event.status == "waiting"]
    recording.events = [event for event in recording.events if event.visitor != number] + waits
    assert not broken_in(recording), "who is still in line is not lost"
    place = waits[-1].position if http == 200 else 0
    out = waits[-1]._replace(
        act=Act.STATUS, http=http, status=status, position=place, due_s=200.0, sent_s=200.0, got_s=200.1
    )
    recording.events.append(out)
    assert broken_in(recording) == {"lost"}
    recording.events[-1] = out._replace(due_s=190.0)
    verdict = verdicts_of(recording)["lost"]
    assert verdict.holds is None, "who was asked for too late by the player says nothing"
    recording.operator_acted = True
    recording.events[-1] = out
    assert verdicts_of(recording)["lost"].holds is None


def test_a_visitor_kept_out_for_long_is_lost_and_one_turned_away_is_not() -> None:
    recording = ideal_recording(BATCHES, visitors=10)
    kept_out = [event for event in recording.events if event.visitor != 10]
    first = Event(10, Act.JOIN, 1.0, 1.0, 1.1, 503, "joins-held", poll_s=1.0)
    recording.events = [*kept_out, first]
    assert not broken_in(recording)
    recording.events.append(first._replace(sent_s=2 + JOINING_S, got_s=2 + JOINING_S))
    assert broken_in(recording) == {"lost"}
    recording.events[-1] = first._replace(sent_s=60.0, got_s=60.1, http=409, status="room-closed")
    assert not broken_in(recording)


def test_a_late_visitor_misses_one_turn_but_not_the_next() -> None:
    recording = ideal_recording(BATCHES, visitors=10)
    recording.visitors[9] = recording.visitors[9]._replace(kind=Kind.LATE)
    joined = next(event for event in recording.events if event.visitor == 10 and event.act is Act.JOIN)
    rest = [event for event in recording.events if event.visitor != 10]
    missed = joined._replace(act=Act.STATUS, status="expired", due_s=60.0, sent_s=60.0, got_s=60.1)
    recording.events = [*rest, joined, missed]
    assert not broken_in(recording)
    again = joined._replace(position=11, due_s=61.0, sent_s=61.0, got_s=61.1)
    gone = missed._replace(position=11, due_s=120.0, sent_s=120.0, got_s=120.1)
    recording.events += [again, gone]
    journeys = journeys_of(recording.visitors, recording.events)
    assert journeys[9].outcome is Outcome.LOST
    assert broken_in(recording) == {"lost"}


def test_limits_that_are_not_known_are_not_checked_and_it_says_why() -> None:
    recording = ideal_recording(BATCHES)
    recording.limits, recording.no_limits_because = None, "no token"
    verdicts = verdicts_of(recording)
    assert [verdicts[name].detail for name in ("active", "rate", "batches")] == ["no token"] * 3
    assert verdicts["order"].holds


def test_limits_are_not_checked_when_an_operator_steered() -> None:
    recording = ideal_recording(ALL)
    recording.operator_acted = True
    verdicts = verdicts_of(recording)
    assert {name for name, verdict in verdicts.items() if verdict.holds is None} == {"active", "rate", "batches"}
