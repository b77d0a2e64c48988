"""How the crowd stands right now, kept up event by event for the live view."""

from collections import Counter, deque

from app.simulate.crowd.journeys import ASIDE, NOT_YET
from app.simulate.crowd.record import ADMITTED, HELD, IN_LINE, Act, Event

RECENT_S = 5.0

STATES = ("in line", "on turn", "inside", "served", "gave up", "out")
"""In the order of a visit; `out` is whoever was turned away, or holds a place no more."""


class Tally:
    """Counts by state, rates of the last seconds, waits."""

    def __init__(self, visitors: int) -> None:
        self.visitors = visitors
        self.arrived = 0
        self.admitted = 0
        self.errors = 0
        self.events = 0
        self.waits_s: list[float] = []
        self.counts: Counter[str] = Counter()
        self._states: dict[int, str] = {}
        self._joined_s: dict[int, float] = {}
        self._recent: deque[tuple[float, Act, float]] = deque()

    def note(self, event: Event) -> None:
        """Take an event into account."""
        self.events += 1
        self._recent.append((event.got_s, event.act, event.lag_s))
        if event.visitor not in self._states:
            self.arrived += 1
            self._states[event.visitor] = ""
        refused = event.http >= 500 or (event.http == 429 and event.status != HELD)
        if refused or (event.http == 0 and event.act is not Act.GIVE_UP):
            self.errors += 1
        state = self._state(event)
        before = self._states[event.visitor]
        if state is None or state == before:
            return
        self._states[event.visitor] = state
        self.counts[before] -= 1
        self.counts[state] += 1
        if event.act in (Act.JOIN, Act.GATE):
            self._joined_s[event.visitor] = event.sent_s
        if state in ("on turn", "inside") and event.visitor in self._joined_s:
            self.admitted += 1
            self.waits_s.append(event.got_s - self._joined_s.pop(event.visitor))

    def _state(self, event: Event) -> str | None:
        if event.act is Act.GIVE_UP:
            return "gave up"
        if event.act is Act.LEAVE and event.http == 204:
            return "served" if self._states[event.visitor] == "inside" else "gave up"
        if event.status in IN_LINE or event.status == NOT_YET:
            return "in line"
        if event.status in ADMITTED:
            return "inside" if event.status == "entered" else "on turn"
        if event.act in ASIDE:
            return None
        if event.status == "turned-away" or (200 <= event.http < 500 and event.http != 429):
            return "out"
        return None

    def rates(self, now_s: float) -> tuple[float, float, float]:
        """Joins a second, other requests a second, and the longest own lag, over the last seconds."""
        while self._recent and self._recent[0][0] < now_s - RECENT_S:
            self._recent.popleft()
        over_s = max(0.5, min(RECENT_S, now_s))
        joins = sum(act is Act.JOIN for _, act, _ in self._recent)
        lag_s = max((lag for _, _, lag in self._recent), default=0.0)
        return joins / over_s, (len(self._recent) - joins) / over_s, lag_s
