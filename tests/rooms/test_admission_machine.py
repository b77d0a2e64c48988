"""Admission's promises, over random joins, entries, leavings, time, pauses, changed limits, restarts and double leaders.

The scripts run on a real server with a clock that the machine moves. A plain model, which counts everybody one by
one and knows nothing of sorted sets, says who must be where.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from app.rooms.marks import visit_standing
from app.rooms.settings import Method, RoomSettings
from app.rooms.snapshot import Snapshot
from tests.rooms.admission_model import OUTAGE_MS, Model
from tests.support.scripts import HEAL_MS, ScriptedRoom
from tests.support.servers import RealServer

always = {
    "claim_seconds": st.sampled_from([1.0, 2.0, 5.0]),
    "session_seconds": st.sampled_from([1.0, 3.0]),
    "max_session_seconds": st.sampled_from([2.0, 5.0]),
    "window_interval_seconds": st.sampled_from([0.5, 1.5]),
    "window_size": st.integers(1, 4),
}
at_times = {
    "max_active": st.integers(0, 6),
    "rate_per_minute": st.sampled_from([60.0, 240.0, 3000.0]),
    "rate_burst": st.integers(1, 5),
    "batches": st.booleans(),
    "method": st.sampled_from([Method.FIFO, Method.FIFO, Method.PASSTHROUGH, Method.REJECT]),
    "max_waiting": st.integers(0, 6),
    "opens_at": st.integers(-1, 6).map(lambda seconds: timedelta(seconds=seconds)),
}
passing_over = {
    "pass_over": st.sampled_from([True, True, False]),
    "pass_over_seconds": st.sampled_from([1.0, 2.0]),
    "grace_seconds": st.sampled_from([1.0, 4.0]),
}
of_all_kinds = st.fixed_dictionaries(always, optional=at_times).filter(lambda given: _made(given, 0).counted)
of_absent_visitors = st.fixed_dictionaries(
    {**always, **passing_over, "max_active": st.sampled_from([1, 2, 3, 0])},
    optional={"rate_per_minute": st.just(240.0)},
)


def _made(given: dict[str, Any], now_ms: int) -> RoomSettings:
    """The settings; a time to open counts from now."""
    if "opens_at" in given:
        given = {**given, "opens_at": datetime.fromtimestamp(now_ms / 1000, UTC) + given["opens_at"]}
    return RoomSettings(**given)


class AdmissionMachine(RuleBasedStateMachine):
    server: RealServer
    limits: st.SearchStrategy[dict[str, Any]]

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        given = data.draw(self.limits)
        self.client = self.server.client()
        self.client.flushall()
        self.room = ScriptedRoom(self.client)
        config = _made(given, self.room.now_ms)
        self.room.declare(config)
        self.model = Model(config, self.room.now_ms, HEAL_MS)
        self.model.advance(self.room.now_ms)
        self.snapshot: Snapshot | None = None
        self.admissions: list[tuple[int, int]] = []

    def teardown(self) -> None:
        if hasattr(self, "client"):
            self.client.close()

    def note(self) -> None:
        """Write down how many have been admitted by now, for the promise about the rate."""
        self.admissions.append((self.room.now_ms, int(self.client.hget(self.room._keys["state"], "admitted") or 0)))

    def one_of(self, positions: list[int], pick: int) -> int | None:
        return positions[pick % len(positions)] if positions else None

    @rule(told_ms=st.sampled_from([0, 500, 3000]))
    def a_crowd_joins(self, told_ms: int) -> None:
        self.visitors_join(6, told_ms)

    @rule(count=st.integers(1, 5), told_ms=st.sampled_from([0, 500, 3000]))
    def visitors_join(self, count: int, told_ms: int) -> None:
        reply = self.room.join_all(count, told_ms=told_ms)
        model = self.model
        model.advance(self.room.now_ms)
        if model.healing:
            assert reply[0] == -2
        elif model.closed or model.config.method is Method.REJECT:
            assert reply == [-3 if model.closed else -6]
        else:
            given = model.join(count, told_ms)
            if model.serves:
                model.admit()
            assert reply[0] == 0
            assert list(range(reply[3], reply[3] + reply[7])) == given
            for position in given:
                assert (position <= reply[4]) == (position in model.turns), "a join says at once whose turn it is"
                if position in model.turns:
                    assert reply[6] == model.turns[position]
        self.note()

    @rule()
    def a_second_passes(self) -> None:
        self.time_passes_and_replicas_tick(1000, twice=False, leading=False)

    @rule(ms=st.integers(0, OUTAGE_MS), twice=st.booleans(), leading=st.booleans())
    def time_passes_and_replicas_tick(self, ms: int, twice: bool, leading: bool) -> None:
        self.room.now_ms += ms
        self.snapshot = self.room.tick(self.snapshot, late_ms=-1 if leading else 0)
        before = self.active_in_store()
        if twice:
            self.snapshot = self.room.tick(self.snapshot)
        self.model.advance(self.room.now_ms)
        self.snapshot = self.room.tick(self.snapshot)
        assert self.active_in_store() == before, "whoever only does what is due leaves nothing undone"
        self.note()

    @rule(seconds=st.integers(3, 80))
    def nobody_reaches_the_store(self, seconds: int) -> None:
        """In all for less than the hour after which an ended visit is told as a missed turn."""
        self.room.now_ms += seconds * 1000
        self.snapshot = self.room.tick(self.snapshot)
        self.model.advance(self.room.now_ms)
        self.note()

    @rule(settle=st.booleans())
    def the_store_restarts(self, settle: bool) -> None:
        """Another process has the store's data, whole; joins are held, and a gap is left."""
        self.client.hset(self.room._keys["state"], "run_id", "another process")
        self.model.restart_at(self.room.now_ms)
        self.snapshot = self.room.tick(self.snapshot)
        if settle:
            self.room.now_ms += HEAL_MS
            self.snapshot = self.room.tick(self.snapshot)
            self.model.advance(self.room.now_ms)
        self.note()

    @rule(picks=st.lists(st.integers(0, 10**6), min_size=1, max_size=4), told_ms=st.sampled_from([0, 500, 3000]))
    def some_ask_for_their_place(self, picks: list[int], told_ms: int) -> None:
        waiting = sorted([*self.model.line, *self.model.passed])
        asking = sorted({self.one_of(waiting, pick) for pick in picks} - {None})
        for position in asking:
            assert self.room.seen(self.model.epoch, position, told_ms)[0] == 0
            self.model.ask([position], told_ms)
        self.note()

    @rule()
    def all_who_were_passed_over_come_back(self) -> None:
        for position in sorted(self.model.passed):
            self.room.seen(self.model.epoch, position, 0)
            self.model.ask([position], 0)
        self.note()

    @rule(pick=st.integers(0, 10**6), on_turn=st.booleans())
    def somebody_enters(self, pick: int, on_turn: bool) -> None:
        position = self.one_of(sorted(self.model.turns) if on_turn else self.model.everybody, pick)
        if position is None:
            return
        model = self.model
        model.advance(self.room.now_ms)
        reply = self.room.enter(model.epoch, position)
        if position in model.sessions:
            assert (reply[0], reply[3]) == (0, model.sessions[position]), "the same session again"
        elif model.healing:
            assert reply[0] == -2
        elif position in model.turns:
            model.enter(position)
            assert (reply[0], reply[3]) == (0, model.sessions[position])
        elif position in model.ended:
            assert reply == [-8]
        elif position in model.missed:
            assert reply == [-7]
        else:
            assert reply == [-5], "only whose turn it is may enter"
        self.note()

    @rule(pick=st.integers(0, 10**6))
    def somebody_renews(self, pick: int) -> None:
        position = self.one_of(sorted(self.model.sessions), pick)
        if position is None:
            return
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
        position = self.one_of(self.model.everybody, pick)
        if position is None:
            return
        model = self.model
        model.advance(self.room.now_ms)
        reply = self.room.leave(model.epoch, position)
        if model.healing:
            assert reply[0] == -2, "a leaving is not confirmed while it might be forgotten"
            return
        assert reply[0] == 0
        # Of a missed turn whose window still stands it is noted that its visitor left, though nothing was held.
        if position not in model.missed or reply[1]:
            model.leave(position)
        model.advance(self.room.now_ms)
        self.note()

    @rule(verb=st.sampled_from(["pause", "close", "drain", "admit", "reset", "change"]), data=st.data())
    def the_operator_steers(self, verb: str, data: st.DataObject) -> None:
        self.model.advance(self.room.now_ms)
        if verb == "change":
            self.change_to(_made(data.draw(self.limits), self.room.now_ms))
        elif verb == "admit":
            self.let_some_in(data.draw(st.integers(1, 4)))
        elif verb == "reset":
            self.room.control("reset")
            self.model.begin()
        else:
            self.hold(verb, data.draw(st.booleans()))
        self.note()

    def hold(self, verb: str, for_long: bool) -> None:
        """Pause or close, mostly for a moment only: a room that stands still shows little."""
        self.room.control(verb)
        self.model.paused, self.model.closed = (
            self.model.paused or verb == "pause",
            self.model.closed or verb != "pause",
        )
        self.model.advance(self.room.now_ms)
        self.time_passes_and_replicas_tick(700, twice=False, leading=False)
        if not for_long:
            self.go_on()

    @rule()
    def go_on(self) -> None:
        for verb in ("resume", "open"):
            self.room.control(verb)
        self.model.paused = self.model.closed = False
        self.model.advance(self.room.now_ms)
        self.note()

    def let_some_in(self, count: int) -> None:
        reply = self.room.control("admit", count=count)
        if self.model.healing:
            assert reply[0] == -2
            return
        self.model.let_in(min(count, self.model.free_slots()), charge=False)
        self.model.advance(self.room.now_ms)
        self.admissions.clear()

    def change_to(self, config: RoomSettings) -> None:
        if self.model.healing:
            return
        self.room.configure(config)
        self.model.reconfigure(config)
        self.model.advance(self.room.now_ms)
        self.admissions.clear()

    @rule()
    def the_operator_lets_everybody_through_or_calls_them_back_into_line(self) -> None:
        """Only the method changes: rate, cap and batches stay as they are, and count again afterwards."""
        self.model.advance(self.room.now_ms)
        config, through = self.model.config, Method.PASSTHROUGH
        if config.model_copy(update={"method": Method.FIFO}).counted:
            method = Method.FIFO if config.method is through else through
            self.change_to(config.model_copy(update={"method": method}))
        self.note()

    def active_in_store(self) -> tuple[dict[int, int], dict[int, int]]:
        """Open turns and sessions, with their ends."""
        turns, sessions = (self.scores(part) for part in ("turns", "sessions"))
        return turns, sessions

    def scores(self, part: str) -> dict[int, int]:
        found = self.client.zrange(self.room._keys[part], 0, -1, withscores=True)
        return {int(member): int(score) for member, score in found}

    @invariant()
    def the_store_is_where_the_model_is(self) -> None:
        if not hasattr(self, "model"):
            return
        model, seen = self.model, self.room.observe()
        assert (seen.epoch, seen.last, seen.edge, seen.run_ms) == (model.epoch, model.last, model.edge, model.run_ms)
        assert bool(seen.opened) is model.opened
        assert self.active_in_store() == (self.model.turns, self.model.sessions)
        assert self.scores("passed") == self.model.passed
        assert sorted(self.scores("front")) == self.model.front
        present = (
            {p: ms for p, ms in of.items() if p not in model.ended} for of in (self.scores("seen"), model.present)
        )
        assert next(present) == next(present), "of those who are still here"

    @invariant()
    def no_slot_is_free_while_somebody_waits_and_nothing_holds_them_back(self) -> None:
        if not hasattr(self, "model") or self.model.config.max_active is None or not self.model.serves:
            return
        config, model = self.model.config, self.model
        if config.rate_per_minute is None and not config.paced_by_batches:
            assert not (model.line or model.front) or model.active >= config.max_active

    @invariant()
    def admissions_never_exceed_the_rate(self) -> None:
        if not hasattr(self, "model") or self.model.config.rate_per_minute is None or self.model.passes_through:
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
        for position in self.model.everybody:
            told = visit_standing(seen, self.room.marks.get(position), self.model.epoch, position, 0).status
            assert told == self.model.standing(position), (position, told)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("limits", [of_all_kinds, of_absent_visitors], ids=["every limit", "absent visitors"])
def test_admission_keeps_its_promises(server: RealServer, limits: st.SearchStrategy[dict[str, Any]]) -> None:
    machine = type("Machine", (AdmissionMachine,), {"server": server, "limits": limits})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    with server.client() as client:
        client.flushall()
