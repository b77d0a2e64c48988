"""A line that keeps every promise, worked out on paper: what an ideal service would have told a crowd."""

import heapq
from collections.abc import Sequence
from random import Random

from app.simulate.crowd.plan import Kind, Shape, Visitor, Wish, plan_crowd
from app.simulate.crowd.record import Act, End, Event, Limits, Recording, Sample

TRIP_S = 0.01
"""A request's way there, or back."""
TURN_S = 30.0
SESSION_S = 900.0


def ideal_recording(limits: Limits, *, visitors: int = 60, over_s: float = 10.0, seed: int = 1) -> Recording:
    """Patient and impatient visitors at a service that lets in exactly as the limits allow."""
    mix = {Kind.PATIENT: 3, Kind.IMPATIENT: 1}
    wish = Wish(visitors, seed, Shape.STEADY, over_s, patience_s=20.0, stay_s=2.0, mix=mix)
    recording = Recording(wish, "default", ["http://localhost:3000"], plan_crowd(wish), limits=limits)
    recording.operator_acted = False
    recording.ended = End.ALL_DONE
    turns = _turns(recording.visitors, limits)
    random = Random(seed)
    for position, visitor in enumerate(recording.visitors, 1):
        recording.events += _visit(visitor, position, turns, random)
    recording.events.sort(key=lambda event: event.got_s)
    recording.took_s = max(event.got_s for event in recording.events)
    recording.samples = [Sample(0.0, 0, 0, 0, 0)]
    return recording


def _turns(visitors: Sequence[Visitor], limits: Limits) -> list[float]:
    """When the turn of each position comes: in order, as early as all limits allow."""
    turns: list[float] = []
    leaves: list[float] = []
    for index, visitor in enumerate(visitors):
        at_s = max(visitor.arrives_s + TRIP_S, turns[-1] if turns else 0.0)
        if limits.batch:
            at_s = max(at_s, index // limits.batch * limits.interval_s)
        if limits.rate_per_minute and index >= limits.burst:
            at_s = max(at_s, turns[index - limits.burst] + limits.burst * 60 / limits.rate_per_minute)
        if limits.max_active is not None and len(leaves) >= limits.max_active:
            at_s = max(at_s, heapq.heappop(leaves))
        turns.append(at_s)
        # Whoever gave up lets the turn run out; the others enter, stay, and leave a little after.
        gone_s = at_s + (TURN_S if visitor.kind is Kind.IMPATIENT else 5.0 + visitor.stay_s)
        heapq.heappush(leaves, gone_s)
    return turns


def _visit(visitor: Visitor, position: int, turns: Sequence[float], random: Random) -> list[Event]:
    turn_s = turns[position - 1]
    gives_up_s = visitor.arrives_s + visitor.patience_s if visitor.kind is Kind.IMPATIENT else float("inf")
    events: list[Event] = []
    due_s, act = visitor.arrives_s, Act.JOIN
    while True:
        event = _answer(visitor, position, turns, due_s, act)
        events.append(event)
        if event.status == "active":
            entered = Event(visitor.number, Act.ENTER, event.got_s, event.got_s, event.got_s + 2 * TRIP_S, 200)
            entered = entered._replace(status="entered", epoch=1, position=position, left_s=SESSION_S)
            leaves_s = entered.got_s + visitor.stay_s
            left = Event(visitor.number, Act.LEAVE, leaves_s, leaves_s, leaves_s + 2 * TRIP_S, 204, "ended")
            return [*events, entered, left]
        due_s, act = min(event.got_s + random.uniform(0.2, 3.0), max(event.got_s, turn_s) + 2.0), Act.STATUS
        if due_s > gives_up_s:
            return [*events, Event(visitor.number, Act.GIVE_UP, gives_up_s, gives_up_s, gives_up_s, 0)]


def _answer(visitor: Visitor, position: int, turns: Sequence[float], due_s: float, act: Act) -> Event:
    decided_s, turn_s = due_s + TRIP_S, turns[position - 1]
    event = Event(visitor.number, act, due_s, due_s, due_s + 2 * TRIP_S, 200, epoch=1, position=position)
    if decided_s >= turn_s:
        return event._replace(status="active", left_s=TURN_S - (decided_s - turn_s), poll_s=1.0)
    ahead = sum(earlier_s > decided_s for earlier_s in turns[: position - 1])
    wait_s = turn_s - decided_s
    return event._replace(status="waiting", ahead=ahead, low_s=wait_s * 0.9, high_s=wait_s * 1.1 + 1, poll_s=1.0)
