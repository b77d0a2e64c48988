"""Admission's promises, over random joins, entries, leavings, time, pauses, changed limits and double leaders.

The scripts run on a real server with a clock that the machine moves. A plain model, which counts everybody one by
one and knows nothing of sorted sets, says who must be where.
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from app.rooms.marks import visit_standing
from app.rooms.settings import RoomSettings
from app.rooms.snapshot import Snapshot
from app.rooms.window import Status
from tests.support.scripts import ScriptedRoom
from tests.support.servers import RealServer

OUTAGE_MS = 2000
SHARE_MS = 100


class Model:
    """A room that admits one by one, in plain Python."""

    def __init__(self, config: RoomSettings, now_ms: int) -> None:
        self.now_ms = now_ms
        self.run_ms = 0
        self.epoch = 0
        self.paused = False
        self.config = config
        self.tokens = float(config.burst)
        self.begin()

    def begin(self) -> None:
        self.epoch += 1
        self.last = 0
        self.line: list[int] = []
        self.turns: dict[int, int] = {}
        self.sessions: dict[int, int] = {}
        self.ended: set[int] = set()
        self.missed: set[int] = set()
        self.expires_run_ms = 0
        self.credit = self.config.window_size
        self.moved_run_ms = self.run_ms

    def reconfigure(self, config: RoomSettings) -> None:
        had_rate, has_rate = self.config.rate_per_minute is not None, config.rate_per_minute is not None
        self.tokens = min(self.tokens, config.burst) if had_rate and has_rate else float(config.burst)
        self.config = config
        self.credit = min(self.credit, config.window_size) if self.last else config.window_size

    def active(self) -> int:
        return len(self.turns) + len(self.sessions)

    def advance(self, now_ms: int, *, act: bool = True) -> None:
        elapsed_ms = now_ms - self.now_ms
        # The store does not know of places given up in the middle of the line until it comes to them.
        quiet = self.edge() >= self.last and self.run_ms >= self.expires_run_ms
        if self.paused or (elapsed_ms > OUTAGE_MS and not quiet):
            elapsed_ms = 0
        self.now_ms = now_ms
        self.run_ms += elapsed_ms
        if self.config.rate_per_minute is not None:
            self.tokens = min(self.config.burst, self.tokens + elapsed_ms * self.config.rate_per_minute / 60_000)
        for position, ends_ms in list(self.sessions.items()):
            if ends_ms <= now_ms:
                del self.sessions[position]
                self.ended.add(position)
        for position, until_run_ms in list(self.turns.items()):
            if until_run_ms <= self.run_ms:
                del self.turns[position]
                self.missed.add(position)
        if not self.paused and act:
            self.admit()

    def edge(self) -> int:
        return self.line[0] - 1 if self.line else self.last

    def admit(self) -> None:
        config = self.config
        if not self.line:
            return
        if config.paced_by_batches and self.run_ms - self.moved_run_ms >= config.interval_ms:
            self.credit, self.moved_run_ms = config.window_size, self.run_ms
        until_run_ms = -(-(self.run_ms + config.active_ms) // SHARE_MS) * SHARE_MS
        while self.line:
            if self.line[0] in self.ended:
                self.line.pop(0)
                continue
            by_rate = config.rate_per_minute is None or self.tokens >= 1 - 1e-6
            by_batch = not config.paced_by_batches or self.credit >= 1
            by_cap = config.max_active is None or self.active() < config.max_active
            if not (by_rate and by_batch and by_cap):
                return
            self.turns[self.line.pop(0)] = until_run_ms
            self.expires_run_ms = max(self.expires_run_ms, until_run_ms)
            self.tokens -= config.rate_per_minute is not None
            self.credit -= config.paced_by_batches

    def standing(self, position: int) -> set[Status]:
        if position in self.ended:
            return {Status.ENDED}
        if position in self.sessions:
            return {Status.ENTERED}
        if position in self.turns:
            return {Status.ACTIVE}
        if position in self.missed:
            return {Status.EXPIRED}
        return {Status.PAUSED if self.paused else Status.WAITING}


limits = st.fixed_dictionaries(
    {
        "claim_seconds": st.sampled_from([1.0, 2.0, 5.0]),
        "session_seconds": st.sampled_from([1.0, 3.0]),
        "max_session_seconds": st.sampled_from([2.0, 5.0]),
        "window_interval_seconds": st.sampled_from([0.5, 1.5]),
        "window_size": st.integers(1, 4),
    },
    optional={
        "max_active": st.integers(0, 6),
        "rate_per_minute": st.sampled_from([60.0, 240.0, 3000.0]),
        "rate_burst": st.integers(1, 5),
        "batches": st.booleans(),
    },
).filter(lambda given: RoomSettings(**given).counted)


class AdmissionMachine(RuleBasedStateMachine):
    server: RealServer

    @initialize(given=limits)
    def begin(self, given: dict[str, Any]) -> None:
        self.client = self.server.client()
        self.client.flushall()
        self.room = ScriptedRoom(self.client)
        config = RoomSettings(**given)
        self.room.declare(config)
        self.model = Model(config, self.room.now_ms)
        self.snapshot: Snapshot | None = None
        self.admissions: list[tuple[int, int]] = []
        self.admitted = 0

    def teardown(self) -> None:
        if hasattr(self, "client"):
            self.client.close()

    def note(self) -> None:
        """Write down how many have been admitted by now, for the promise about the rate."""
        self.admissions.append((self.room.now_ms, int(self.client.hget(self.room._keys["state"], "admitted") or 0)))

    @rule(count=st.integers(1, 5))
    def visitors_join(self, count: int) -> None:
        reply = self.room.join_all(count)
        self.model.advance(self.room.now_ms)
        first = self.model.last + 1
        self.model.last += count
        self.model.line += range(first, first + count)
        if not self.model.paused:
            self.model.admit()
        assert reply[0] == 0
        assert (reply[3], reply[7]) == (first, count)
        for position in range(first, first + count):
            assert (position <= reply[4]) == (position in self.model.turns), "a join says at once whose turn it is"
        self.note()

    @rule(ms=st.integers(0, OUTAGE_MS), twice=st.booleans(), leading=st.booleans())
    def time_passes_and_replicas_tick(self, ms: int, twice: bool, leading: bool) -> None:
        self.room.now_ms += ms
        self.snapshot = self.room.tick(self.snapshot, late_ms=-1 if leading else 0)
        if twice:
            self.snapshot = self.room.tick(self.snapshot)
        self.model.advance(self.room.now_ms)
        self.snapshot = self.room.tick(self.snapshot)
        self.note()

    @rule(seconds=st.integers(3, 1000))
    def nobody_reaches_the_store(self, seconds: int) -> None:
        self.room.now_ms += seconds * 1000
        self.snapshot = self.room.tick(self.snapshot)
        self.model.advance(self.room.now_ms)
        self.note()

    @rule(pick=st.integers(0, 10**6))
    def somebody_enters(self, pick: int) -> None:
        if not self.model.last:
            return
        position = 1 + pick % self.model.last
        self.model.advance(self.room.now_ms)
        reply = self.room.enter(self.model.epoch, position)
        config = self.model.config
        if position in self.model.sessions:
            assert (reply[0], reply[3]) == (0, self.model.sessions[position]), "the same session again"
        elif position in self.model.turns:
            del self.model.turns[position]
            seconds = min(config.session_seconds, config.max_session_seconds)
            self.model.sessions[position] = self.room.now_ms + round(seconds * 1000)
            assert (reply[0], reply[3]) == (0, self.model.sessions[position])
        elif position in self.model.ended:
            assert reply == [-8]
        elif position in self.model.missed:
            assert reply == [-7]
        else:
            assert reply == [-5], "only whose turn it is may enter"
        self.note()

    @rule(pick=st.integers(0, 10**6))
    def somebody_renews(self, pick: int) -> None:
        if not self.model.sessions:
            return
        position = sorted(self.model.sessions)[pick % len(self.model.sessions)]
        self.model.advance(self.room.now_ms)
        reply = self.room.renew(self.model.epoch, position)
        if position in self.model.sessions:
            assert reply[0] == 0
            assert self.model.sessions[position] <= reply[3] <= max(reply[4], self.model.sessions[position])
            self.model.sessions[position] = reply[3]
        else:
            assert reply[0] < 0
        self.note()

    @rule(pick=st.integers(0, 10**6))
    def somebody_leaves(self, pick: int) -> None:
        if not self.model.last:
            return
        position = 1 + pick % self.model.last
        self.model.advance(self.room.now_ms)
        reply = self.room.leave(self.model.epoch, position)
        assert reply[0] == 0
        if position not in self.model.missed:
            self.model.turns.pop(position, None)
            self.model.sessions.pop(position, None)
            self.model.ended.add(position)
        elif reply[1]:  # a missed turn whose window still stands: left, though nothing was held
            self.model.missed.discard(position)
            self.model.ended.add(position)
        self.model.advance(self.room.now_ms)
        self.note()

    @rule(verb=st.sampled_from(["pause", "resume"]))
    def the_operator_pauses_or_resumes(self, verb: str) -> None:
        self.model.advance(self.room.now_ms)
        self.room.control(verb)
        self.model.paused = verb == "pause"
        self.model.advance(self.room.now_ms)
        self.note()

    @rule(given=limits)
    def the_limits_change(self, given: dict[str, Any]) -> None:
        self.model.advance(self.room.now_ms)
        config = RoomSettings(**given)
        self.room.configure(config)
        self.model.reconfigure(config)
        self.model.advance(self.room.now_ms)
        self.admissions.clear()
        self.note()

    @rule()
    def the_operator_resets(self) -> None:
        self.model.advance(self.room.now_ms)
        self.room.control("reset")
        self.model.begin()
        self.note()

    @invariant()
    def the_store_is_where_the_model_is(self) -> None:
        if not hasattr(self, "model"):
            return
        key = self.room._keys
        turns = {int(member): int(score) for member, score in self.client.zrange(key["turns"], 0, -1, withscores=True)}
        sessions = {int(m): int(score) for m, score in self.client.zrange(key["sessions"], 0, -1, withscores=True)}
        assert turns == self.model.turns
        assert sessions == self.model.sessions

    @invariant()
    def no_slot_is_free_while_somebody_waits_and_nothing_holds_them_back(self) -> None:
        if not hasattr(self, "model") or self.model.config.max_active is None:
            return
        config, model = self.model.config, self.model
        if config.rate_per_minute is None and not config.paced_by_batches and not model.paused:
            assert not model.line or model.active() >= config.max_active

    @invariant()
    def admissions_never_exceed_the_rate(self) -> None:
        if not hasattr(self, "model") or self.model.config.rate_per_minute is None:
            return
        rate, burst = self.model.config.rate_per_minute, self.model.config.burst
        now_ms, admitted = self.admissions[-1] if self.admissions else (0, 0)
        for then_ms, before in self.admissions:
            assert admitted - before <= rate * (now_ms - then_ms) / 60_000 + burst + 1e-6

    @invariant()
    def a_replica_tells_everybody_the_truth(self) -> None:
        if not hasattr(self, "model"):
            return
        self.snapshot = seen = self.room.observe(self.snapshot)
        for position in range(1, self.model.last + 1):
            told = visit_standing(seen, self.room.marks.get(position), self.model.epoch, position, 0).status
            assert told in self.model.standing(position), (position, told)


@pytest.mark.timeout(300)
def test_admission_keeps_its_promises(server: RealServer) -> None:
    machine = type("Machine", (AdmissionMachine,), {"server": server})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    with server.client() as client:
        client.flushall()
