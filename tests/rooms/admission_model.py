"""A room that admits one by one, in plain Python: everybody is counted singly, without a thought for efficiency."""

from collections.abc import Iterable

from app.rooms.settings import Method, RoomSettings
from app.rooms.window import Status

OUTAGE_MS = 2000
SHARE_MS = 100
STEP = 1000


class Model:
    """Where everybody in a room must be. Positions in line are `line`; those whom healing left out are in nobody's hands."""

    def __init__(self, config: RoomSettings, now_ms: int, heal_ms: int) -> None:
        self.now_ms = now_ms
        self.run_ms = 0
        self.heal_ms = heal_ms
        self.heal_until_ms = 0
        self.epoch = 0
        self.paused = self.closed = False
        self.config = config
        self.tokens = float(config.burst)
        self.peak = self.bucket = self.bucket_at_ms = 0
        self.begin()

    def begin(self) -> None:
        """A new epoch."""
        self.epoch += 1
        self.last = self.edge = 0
        self.line: list[int] = []
        self.front: list[int] = []
        self.passed: dict[int, int] = {}
        self.present: dict[int, int] = {}
        self.turns: dict[int, int] = {}
        self.sessions: dict[int, int] = {}
        self.ended: set[int] = set()
        self.missed: set[int] = set()
        self.expires_run_ms = 0
        self.opened = self._opens_ms() <= self.now_ms
        self.credit = self.config.window_size
        self.moved_run_ms = self.run_ms

    @property
    def everybody(self) -> list[int]:
        """All who have been given a place."""
        known: set[int] = {*self.line, *self.front, *self.passed, *self.turns, *self.sessions}
        return sorted(known | self.ended | self.missed)

    @property
    def healing(self) -> bool:
        return self.heal_until_ms > 0

    @property
    def kept_ms(self) -> int:
        """How much longer than told a turn or a grace is kept."""
        return min(5000, self.config.active_ms // 4)

    @property
    def active(self) -> int:
        return len(self.turns) + len(self.sessions)

    @property
    def passes_through(self) -> bool:
        return self.config.method is Method.PASSTHROUGH

    def restart_at(self, now_ms: int) -> None:
        """The store's process has changed, and nothing is lost."""
        self.heal_until_ms = now_ms + self.heal_ms
        self.advance(now_ms)

    def reconfigure(self, config: RoomSettings) -> None:
        had_rate, has_rate = self.config.rate_per_minute is not None, config.rate_per_minute is not None
        self.tokens = min(self.tokens, config.burst) if had_rate and has_rate else float(config.burst)
        if config.pass_over and not self.config.pass_over:
            for position in self.line:
                until_run_ms = self.run_ms + 60_000 + round(config.pass_over_seconds * 1000)
                self.present[position] = max(until_run_ms, self.present.get(position, 0))
        if not config.pass_over:
            self.present.clear()
        self.config = config
        self.opened = self._opens_ms() <= self.now_ms
        self.credit = min(self.credit, config.window_size) if self.last else config.window_size

    def advance(self, now_ms: int) -> None:
        """Let time pass and do what is due."""
        if self.healing and now_ms >= self.heal_until_ms:
            self._finish_healing(now_ms)
        elapsed_ms = now_ms - self.now_ms
        quiet = self.edge >= self.last and self.run_ms >= self.expires_run_ms + self.kept_ms
        if self.paused or self.healing or (elapsed_ms > OUTAGE_MS and not quiet):
            elapsed_ms = 0
        self.now_ms = now_ms
        self.run_ms += elapsed_ms
        if self.config.rate_per_minute is not None:
            self.tokens = min(self.config.burst, self.tokens + elapsed_ms * self.config.rate_per_minute / 60_000)
        if not self.opened and not self.healing and not self.paused and now_ms >= self._opens_ms():
            self.opened, self.credit, self.moved_run_ms = True, self.config.window_size, self.run_ms
        for position, ends_ms in list(self.sessions.items()):
            if ends_ms <= now_ms:
                del self.sessions[position]
                self.ended.add(position)
        if not self.healing:
            for over in (self.turns, self.passed):
                for position, until_run_ms in list(over.items()):
                    if until_run_ms + self.kept_ms <= self.run_ms:
                        del over[position]
                        self.missed.add(position)
        if self.serves:
            self.admit()

    @property
    def serves(self) -> bool:
        """Whether anybody may be let in at all."""
        return self.opened and not self.paused and not self.healing

    def join(self, count: int, told_ms: int) -> list[int]:
        """Whoever of `count` finds room, in a room that takes joins; they are not admitted yet."""
        given = range(self.last + 1, self.last + 1 + self._places_left(count))
        self.last += len(given)
        self.line += given
        if self.config.pass_over:
            until_run_ms = self.run_ms + told_ms + round(self.config.pass_over_seconds * 1000)
            self.present.update(dict.fromkeys(given, until_run_ms))
        if self.now_ms - self.bucket_at_ms >= self.heal_ms:
            self.bucket_at_ms, self.bucket = self.now_ms, 0
        self.bucket += len(given)
        self.peak = max(self.peak, self.bucket)
        return list(given)

    def ask(self, positions: Iterable[int], told_ms: int) -> None:
        """Some ask for their place, and are told to ask again in `told_ms`."""
        back = False
        for position in positions:
            if position in self.passed:
                del self.passed[position]
                self.front = sorted([*self.front, position])
                back = True
            elif position > self.edge and self.config.pass_over:
                until_run_ms = self.run_ms + told_ms + round(self.config.pass_over_seconds * 1000)
                self.present[position] = max(until_run_ms, self.present.get(position, 0))
        if back and not self.healing:
            self.advance(self.now_ms)

    def admit(self) -> None:
        """Let in whoever the limits have room for."""
        if self.edge >= self.last and not self.front:
            return
        allowed = self._allowance()
        if allowed:
            self.let_in(allowed, charge=True)

    def let_in(self, count: int, *, charge: bool) -> None:
        """Let `count` in: those who came back first, then the line."""
        until_run_ms = -(-(self.run_ms + self.config.active_ms) // SHARE_MS) * SHARE_MS
        left = count
        while left and self.front:
            self._give_turn(self.front.pop(0), until_run_ms)
            left -= 1
        while left and self.edge < self.last:
            if not self.line:
                self.edge = self.last
                break
            self.edge = position = self.line.pop(0)
            present_until_run_ms = self.present.pop(position, 0)
            if position in self.ended:
                continue
            if self.config.pass_over and present_until_run_ms <= self.run_ms:
                self.passed[position] = self.run_ms + round(self.config.grace_seconds * 1000)
                self.expires_run_ms = max(self.expires_run_ms, self.passed[position])
                continue
            self._give_turn(position, until_run_ms)
            left -= 1
        if charge:
            self.tokens -= (count - left) * (self.config.rate_per_minute is not None and not self.passes_through)
            self.credit -= min(self.credit, count - left) if self.config.paced_by_batches else 0

    def enter(self, position: int) -> None:
        """The turn becomes a session."""
        del self.turns[position]
        seconds = min(self.config.session_seconds, self.config.max_session_seconds)
        self.sessions[position] = self.now_ms + round(seconds * 1000)

    def leave(self, position: int) -> None:
        """The visit ends, wherever in it the visitor is."""
        for places in (self.turns, self.sessions, self.passed, self.present):
            places.pop(position, None)
        if position in self.front:
            self.front.remove(position)
        self.missed.discard(position)
        self.ended.add(position)

    def free_slots(self) -> int:
        return STEP if self.config.max_active is None else max(0, self.config.max_active - self.active)

    def standing(self, position: int) -> Status:
        """What the visitor is to be told."""
        if position in self.ended:
            return Status.ENDED
        if position in self.sessions:
            return Status.ENTERED
        if self.turns.get(position, 0) > self.run_ms:
            return Status.ACTIVE
        if self.passed.get(position, 0) > self.run_ms:
            return Status.PASSED
        if position in {*self.missed, *self.turns, *self.passed}:
            return Status.CLOSED if self.closed else Status.EXPIRED
        return Status.PAUSED if self.paused else Status.WAITING

    def _allowance(self) -> int:
        if self.passes_through:
            return STEP
        config = self.config
        by_batch = by_rate = STEP
        if config.paced_by_batches:
            if self.run_ms - self.moved_run_ms >= config.interval_ms:
                self.credit, self.moved_run_ms = config.window_size, self.run_ms
            by_batch = self.credit
        if config.rate_per_minute is not None:
            by_rate = int(self.tokens + 1e-6)
        return min(by_batch, by_rate, self.free_slots())

    def _places_left(self, wanted: int) -> int:
        if self.config.max_waiting is None:
            return wanted
        waiting = len(self.line) + len(self.front)
        at_once = self._allowance() if not waiting and self.opened and not self.paused else 0
        return min(wanted, at_once + max(0, self.config.max_waiting - waiting))

    def _give_turn(self, position: int, until_run_ms: int) -> None:
        self.turns[position] = until_run_ms
        self.expires_run_ms = max(self.expires_run_ms, until_run_ms)

    def _finish_healing(self, now_ms: int) -> None:
        self.heal_until_ms, self.now_ms = 0, now_ms
        if self.last:
            self.last += max(1, self.peak)

    def _opens_ms(self) -> int:
        return round(self.config.opens_at.timestamp() * 1000) if self.config.opens_at else 0
