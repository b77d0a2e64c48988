"""The gate's promises, held against what was recorded: nobody gets past it without a turn, and whoever has one does."""

from collections.abc import Sequence

from app.simulate.crowd.journeys import Journey
from app.simulate.crowd.record import HELD, NEED_NOT_WAIT, Act, Event, Recording
from app.simulate.crowd.verdicts import SKEW_S, Verdict, steered, verdict

GIVES_PASS = frozenset({Act.ENTER, Act.RENEW, Act.GATE})


def check_gate(recording: Recording, journeys: Sequence[Journey]) -> list[Verdict]:
    """Both promises; none when the crowd did not come through a gate."""
    if not recording.sites:
        return []
    return [nobody_gets_past(journeys), visits_are_let_through(recording, journeys)]


def nobody_gets_past(journeys: Sequence[Journey]) -> Verdict:
    """The gate lets through only with a live pass, or gives one: then it names the place, which the other promises hold for."""
    past, asked, free = [], 0, 0
    for journey in journeys:
        spans = _with_pass(journey, grace_s=SKEW_S)
        for event in _asked(journey):
            asked += 1
            let_through = 200 <= event.http < 300 and not event.told
            if let_through and event.status in NEED_NOT_WAIT:
                free += 1
            elif let_through and not any(from_s <= event.got_s and event.sent_s <= to_s for from_s, to_s in spans):
                past.append(f"visitor {event.visitor} at {event.sent_s:.1f} s")
    told = f"{asked} times asked at the gate"
    return verdict(
        "gate",
        "nobody gets past the gate without a turn",
        past,
        f"{told}, {free} of them where nobody need wait" if free else told,
    )


def visits_are_let_through(recording: Recording, journeys: Sequence[Journey]) -> Verdict:
    """Whoever has entered passes the gate, until the session is over or left."""
    name, promise = "passes", "whoever has entered passes the gate"
    if recording.operator_acted:
        return steered(name, promise)
    held, passed = [], 0
    for journey in journeys:
        spans = _with_pass(journey, grace_s=-SKEW_S)
        for event in _asked(journey):
            if not any(from_s <= event.sent_s and event.got_s <= to_s for from_s, to_s in spans):
                continue
            if event.status == HELD:
                held.append(f"visitor {event.visitor} at {event.sent_s:.1f} s: {event.http}")
            else:
                passed += 200 <= event.http < 300
    return verdict(name, promise, held, f"{passed} times let through with a pass")


def _asked(journey: Journey) -> list[Event]:
    return [event for event in journey.events if event.act is Act.GATE and event.http]


def _with_pass(journey: Journey, grace_s: float) -> list[tuple[float, float]]:
    """From when to when the visitor had a pass that counts.

    Args:
        grace_s: how much later than told it ends; below 0 for when it surely held: then until the visitor began to leave.
    """
    ends_s = [event.sent_s for event in journey.events if event.act is Act.LEAVE and event.http]
    spans = []
    for event in journey.events:
        if event.act in GIVES_PASS and event.told and event.status == "entered":
            left_s = min((end_s for end_s in ends_s if end_s >= event.got_s), default=float("inf"))
            spans.append((event.got_s, min(event.sent_s + event.left_s + grace_s, left_s + max(0.0, grace_s))))
    return spans
