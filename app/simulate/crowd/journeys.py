"""Events put in order: which places each visitor had, when each turn came, and how each visit stands at the end."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from app.simulate.crowd.plan import Kind, Visitor
from app.simulate.crowd.record import ADMITTED, IN_LINE, NEED_NOT_WAIT, Act, Event

JOINING_S = 30.0
"""Whoever has asked for a place for this long without getting one has been kept out."""
LATE_PLAYER_S = 1.0
"""A turn missed after the player itself was this late says nothing about the service."""
ASIDE = frozenset({Act.GATE, Act.PAGE, Act.LISTEN})
"""What says nothing about a place, but for a pass that comes along from the gate."""
NOT_YET = "not-your-turn"
"""How an answer to entering too early reads."""


class Outcome(StrEnum):
    """How a visit stands at the end of the run."""

    SERVED = "served"
    """Was inside and has left."""
    INSIDE = "inside"
    ON_TURN = "on turn"
    IN_LINE = "in line"
    GAVE_UP = "gave up"
    """Closed the page, or gave the place back, before the turn came."""
    TURNED_AWAY = "turned away"
    """The room was closed, full or took nobody: said so, and no place was promised."""
    ARRIVING = "arriving"
    """Has no place yet, and not for long."""
    NOT_COME = "not come"
    """The run ended before."""
    LOST = "lost"
    """Stayed, and is neither in line nor in."""
    LOST_BY_PLAYER = "lost by the player"
    """The same, but the player had asked too late itself."""


@dataclass
class Place:
    """One place of one visitor."""

    visitor: int
    epoch: int
    position: int
    joined_s: float
    """When the join that gave it was sent."""
    answers: list[Event] = field(default_factory=list)
    """All answers about it, in order of arrival."""
    admitted_after_s: float = 0.0
    """The turn came after this…"""
    admitted_s: float | None = None
    """…and before this; None: not seen to have come."""
    left_s: float | None = None
    """When the visitor began to leave it, or gave up."""

    @property
    def is_over(self) -> bool:
        """Whether the last answer said that it counts no more."""
        return bool(self.answers) and self.answers[-1].status not in IN_LINE | ADMITTED

    @property
    def was_passed(self) -> bool:
        """Whether the visitor was ever told to have been passed over."""
        return any(answer.status == "passed" for answer in self.answers)


@dataclass
class Journey:
    """Everything one visitor did."""

    visitor: Visitor
    events: list[Event] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    strays: list[Event] = field(default_factory=list)
    """Answers that name another place than the one the visitor holds."""
    outcome: Outcome = Outcome.NOT_COME

    @property
    def wait_s(self) -> float | None:
        """From the first join to its turn, whether that was taken up or missed; None when it did not come."""
        if not self.places or self.places[0].admitted_s is None:
            return None
        return self.places[0].admitted_s - self.places[0].joined_s


def journeys_of(visitors: Sequence[Visitor], events: Iterable[Event]) -> list[Journey]:
    """One journey for each visitor of the plan, in the plan's order."""
    by_visitor: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        by_visitor[event.visitor].append(event)
    return [_journey(visitor, sorted(by_visitor[visitor.number], key=_got_s)) for visitor in visitors]


def _got_s(event: Event) -> float:
    return event.got_s


def _journey(visitor: Visitor, events: list[Event]) -> Journey:
    journey = Journey(visitor, events)
    for event in events:
        held = journey.places[-1] if journey.places else None
        if event.act in (Act.LEAVE, Act.GIVE_UP) and held is not None and held.left_s is None:
            held.left_s = event.sent_s
        if not event.told:
            continue
        known = next((place for place in reversed(journey.places) if _is_about(event, place)), None)
        if event.act is Act.JOIN or (known is None and _gives_new_place(event, held)):
            known = Place(visitor.number, event.epoch, event.position, event.sent_s, admitted_after_s=event.sent_s)
            journey.places.append(known)
        elif known is None:
            journey.strays.append(event)
            continue
        _note(known, event)
    journey.outcome = outcome_of(visitor, events, journey.places)
    return journey


def _is_about(answer: Event, place: Place) -> bool:
    return (answer.epoch, answer.position) == (place.epoch, place.position)


def _gives_new_place(answer: Event, held: Place | None) -> bool:
    """Whether an answer may give another place: the line was started anew, or the player let the turn run out itself."""
    if answer.act is Act.GATE and (held is None or held.left_s is not None or held.is_over):
        return True  # let straight in at the gate
    if answer.act not in (Act.RELOAD, Act.GATE) or held is None:
        return False
    return answer.epoch > held.epoch or answer.lag_s > LATE_PLAYER_S


def _note(place: Place, answer: Event) -> None:
    place.answers.append(answer)
    if place.admitted_s is None:
        if answer.status in ADMITTED:
            place.admitted_s = answer.got_s
        elif answer.status in IN_LINE and not answer.stale:
            place.admitted_after_s = max(place.admitted_after_s, answer.sent_s)


def outcome_of(visitor: Visitor, events: Sequence[Event], places: Sequence[Place]) -> Outcome:
    """How the visit stands after these events of one visitor, which are in order."""
    if not events:
        return Outcome.NOT_COME
    entered = any(event.told and event.status == "entered" for event in events)
    if any(event.act is Act.LEAVE and event.http == 204 for event in events):
        return Outcome.SERVED if entered else Outcome.GAVE_UP
    if events[-1].act is Act.GIVE_UP:
        return Outcome.GAVE_UP
    if not places and events[-1].status in NEED_NOT_WAIT:
        return Outcome.SERVED
    last = _last_word(events, places)
    if last is None or not places or (last.act is Act.JOIN and not last.told):
        return _without_place(events, last)
    if entered:
        return Outcome.INSIDE if last.status in ADMITTED else Outcome.SERVED
    if last.status in IN_LINE or last.status == NOT_YET:
        return Outcome.IN_LINE
    if last.status in ADMITTED:
        return Outcome.ON_TURN
    if visitor.kind is Kind.LATE and len(places) == 1:
        return Outcome.ARRIVING  # missed the turn as planned, and is about to join again
    return Outcome.LOST_BY_PLAYER if _player_was_late(places[-1], last) else Outcome.LOST


def _last_word(events: Sequence[Event], places: Sequence[Place]) -> Event | None:
    """The last answer that says how things stand: not that the service is away for a moment, nor about a former place."""
    for event in reversed(events):
        if not 200 <= event.http < 500 or event.http == 429 or (event.act in ASIDE and not event.told):
            continue
        if not event.told or not places or _is_about(event, places[-1]):
            return event
    return None


def _without_place(events: Sequence[Event], last: Event | None) -> Outcome:
    if last is not None and 400 <= last.http < 500:
        return Outcome.TURNED_AWAY
    if events[-1].status == "turned-away":
        return Outcome.TURNED_AWAY
    asked_s = events[-1].got_s - events[0].sent_s
    return Outcome.LOST if asked_s > JOINING_S else Outcome.ARRIVING


def _player_was_late(place: Place, last: Event) -> bool:
    """Whether the player itself let the turn pass: it asked, or went in, later than the visitor meant to."""
    waited = [answer for answer in place.answers if answer.status in IN_LINE]
    since_s = waited[-1].got_s if waited else place.joined_s
    late = [answer.lag_s for answer in [*place.answers, last] if answer.got_s > since_s]
    return max(late, default=0.0) > LATE_PLAYER_S
