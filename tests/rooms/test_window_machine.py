"""The window's promises, over random arrivals, pauses, outages, restarts, settings, resets and double leaders.

The scripts run on a real server with a clock that the machine moves; a plain model says what must come out.
"""

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from app.rooms.settings import RoomSettings
from app.rooms.snapshot import Snapshot
from app.rooms.window import Status, moved_edge, standing
from tests.support.scripts import HEAL_MS, ScriptedRoom
from tests.support.servers import RealServer

OUTAGE_MS = 2000


@dataclass
class Visitor:
    epoch: int
    position: int
    active_until_run_ms: int
    joined_run_ms: int
    joined_ms: int
    opened_run_ms: int | None = None
    """Running time at which the turn began, and how long it lasts by the settings of that moment."""
    active_ms: int = 0


class Model:
    """The window in plain Python, without a thought for efficiency."""

    def __init__(self, config: RoomSettings, now_ms: int) -> None:
        self.config = config
        self.now_ms = now_ms
        self.run_ms = 0
        self.moved_run_ms = 0
        self.epoch = 1
        self.last = 0
        self.edge = config.window_size
        self.paused = False
        self.heal_until_ms = 0
        self.gaps: list[tuple[int, int]] = []
        self.peak = self.bucket = self.bucket_at_ms = 0
        self.visitors: list[Visitor] = []
        self.moves: list[tuple[int, int, int]] = []

    def here(self) -> list[Visitor]:
        return [visitor for visitor in self.visitors if visitor.epoch == self.epoch]

    def quiet(self) -> bool:
        ends = [v.opened_run_ms + v.active_ms for v in self.here() if v.opened_run_ms is not None]
        kept_ms = min(5000, self.config.active_ms // 4)
        return self.last <= self.edge and all(end + kept_ms <= self.run_ms for end in [*ends, self.window_end])

    window_end = 0
    """When the last window ends: its turn is open even when nobody stands in it."""

    def advance(self, now_ms: int) -> None:
        if self.heal_until_ms and now_ms >= self.heal_until_ms:
            self.finish_healing(now_ms)
        elapsed_ms = now_ms - self.now_ms
        if self.paused or self.heal_until_ms or (elapsed_ms > OUTAGE_MS and not self.quiet()):
            elapsed_ms = 0
        self.now_ms = now_ms
        self.run_ms += elapsed_ms
        due = self.run_ms - self.moved_run_ms >= self.config.interval_ms
        if due and self.last > self.edge and not self.paused and not self.heal_until_ms:
            self.edge = moved_edge(self.edge, self.config.window_size, self.gaps)
            self.moves.append((self.run_ms, now_ms, self.config.interval_ms))
            self.moved_run_ms = self.run_ms
            self.window_end = max(self.window_end, self.run_ms + self.config.active_ms)
            for visitor in self.here():
                if visitor.position <= self.edge and visitor.opened_run_ms is None:
                    visitor.opened_run_ms, visitor.active_ms = self.run_ms, self.config.active_ms

    def joined(self, count: int) -> None:
        """Count joins in buckets as long as a healing: the fullest is how many a loss may hide."""
        if self.now_ms - self.bucket_at_ms >= HEAL_MS:
            self.bucket_at_ms, self.bucket = self.now_ms, 0
        self.bucket += count
        self.peak = max(self.peak, self.bucket)

    def finish_healing(self, now_ms: int) -> None:
        """A gap is left of positions that nobody has; where the edge is ahead of the joins, it keeps its lead."""
        self.heal_until_ms, self.now_ms = 0, now_ms
        if self.last:
            gap = max(1, self.peak)
            self.gaps.append((self.last, self.last + gap))
            self.edge += min(gap, max(0, self.edge - self.last))
            self.last += gap


configs = st.builds(
    RoomSettings,
    window_size=st.integers(1, 5),
    window_interval_seconds=st.sampled_from([0.5, 1.0, 3.0]),
    active_window_count=st.integers(1, 3),
)


class WindowMachine(RuleBasedStateMachine):
    server: RealServer

    @initialize(config=configs)
    def begin(self, config: RoomSettings) -> None:
        self.client = self.server.client()
        self.client.flushall()
        self.room = ScriptedRoom(self.client)
        self.room.declare(config)
        self.model = Model(config, self.room.now_ms)
        self.replicas: list[Snapshot | None] = [None, None]
        self.expired: set[tuple[int, int]] = set()

    def teardown(self) -> None:
        if hasattr(self, "client"):
            self.client.close()

    @rule(count=st.integers(1, 8))
    def visitors_join(self, count: int) -> None:
        reply = self.room.join(count)
        self.model.advance(self.room.now_ms)
        if self.model.heal_until_ms:
            assert reply[0] == -2, "joins are held"
            return
        assert reply[0] == 0
        _, _, epoch, first, edge, run_ms, until_run_ms = reply
        assert (epoch, first, edge, run_ms) == (
            self.model.epoch,
            self.model.last + 1,
            self.model.edge,
            self.model.run_ms,
        )
        for position in range(first, first + count):
            behind = position <= edge
            visitor = Visitor(epoch, position, until_run_ms if behind else 0, run_ms, self.room.now_ms)
            if behind:
                visitor.opened_run_ms, visitor.active_ms = run_ms, self.model.config.active_ms
                self.model.window_end = max(self.model.window_end, until_run_ms)
            self.model.visitors.append(visitor)
        self.model.last += count
        self.model.joined(count)

    @rule(ms=st.integers(0, OUTAGE_MS), replica=st.integers(0, 1), twice=st.booleans())
    def time_passes_and_a_leader_ticks(self, ms: int, replica: int, twice: bool) -> None:
        self.room.now_ms += ms
        self.model.advance(self.room.now_ms)
        self.replicas[replica] = self.room.tick(self.replicas[replica])
        if twice:  # another replica believes that it leads
            before = self.replicas[replica]
            self.replicas[1 - replica] = self.room.tick(self.replicas[1 - replica])
            assert before is not None
            assert self.replicas[1 - replica].edge == before.edge  # type: ignore[union-attr]

    @rule(ms=st.integers(0, OUTAGE_MS), replica=st.integers(0, 1))
    def a_replica_only_looks(self, ms: int, replica: int) -> None:
        self.room.now_ms += ms
        self.replicas[replica] = self.room.observe(self.replicas[replica])
        self.room.now_ms -= ms

    @rule(seconds=st.integers(3, 100_000))
    def nobody_reaches_the_store(self, seconds: int) -> None:
        self.room.now_ms += seconds * 1000

    @rule(whole=st.booleans())
    def the_store_restarts(self, whole: bool) -> None:
        """Another process has the store's data, all of it: joins are held, a gap is left, and nobody's turn is touched."""
        self.client.hset(self.room._keys["state"], "run_id", "another process")
        self.model.heal_until_ms = self.room.now_ms + HEAL_MS
        self.room.tick()
        self.model.advance(self.room.now_ms)
        if whole:
            self.room.now_ms += HEAL_MS
            self.room.tick()
            self.model.advance(self.room.now_ms)

    @rule(verb=st.sampled_from(["pause", "resume"]))
    def the_operator_pauses_or_resumes(self, verb: str) -> None:
        self.model.advance(self.room.now_ms)
        self.room.control(verb)
        self.model.paused = verb == "pause"

    @rule(config=configs)
    def the_settings_change(self, config: RoomSettings) -> None:
        self.model.advance(self.room.now_ms)
        if self.model.heal_until_ms:
            return
        self.room.configure(config)
        self.model.config = config
        if self.model.last == 0:
            self.model.epoch += config.window_size < self.model.edge
            self.model.edge = config.window_size

    @rule()
    def the_operator_resets(self) -> None:
        self.model.advance(self.room.now_ms)
        self.room.control("reset")
        self.model.epoch += 1
        self.model.last = 0
        self.model.gaps = []
        self.model.window_end = 0
        self.model.edge = self.model.config.window_size
        self.model.moved_run_ms = self.model.run_ms

    @invariant()
    def every_replica_tells_every_visitor_the_truth(self) -> None:
        for snapshot in self.replicas:
            if snapshot is None:
                continue
            active_or_over = 0
            for visitor in self.model.visitors:
                told = standing(snapshot, visitor.epoch, visitor.position, visitor.active_until_run_ms).status
                key = (visitor.epoch, visitor.position)
                if visitor.epoch < snapshot.epoch:
                    assert told is Status.RESET
                    continue
                if visitor.epoch > snapshot.epoch or visitor.joined_ms > snapshot.now_ms:
                    continue  # this replica has not looked since
                if told is Status.EXPIRED:
                    self.expired.add(key)
                opened = visitor.opened_run_ms
                if visitor.position <= snapshot.edge:
                    assert told not in (Status.WAITING, Status.PAUSED), "nobody waits while the edge is beyond them"
                if opened is not None and opened <= snapshot.run_ms and visitor.position <= snapshot.edge:
                    whole_time_over = snapshot.run_ms >= opened + visitor.active_ms
                    assert told is (Status.EXPIRED if whole_time_over else Status.ACTIVE)
                if told in (Status.ACTIVE, Status.EXPIRED) and visitor.position <= snapshot.last:
                    active_or_over = max(active_or_over, visitor.position)
            for visitor in self.model.here():
                if visitor.epoch == snapshot.epoch and visitor.position < active_or_over:
                    told = standing(snapshot, visitor.epoch, visitor.position, visitor.active_until_run_ms).status
                    assert told not in (Status.WAITING, Status.PAUSED), "first come, first served"

    @invariant()
    def nobody_expired_is_revived(self) -> None:
        newest = max((s for s in self.replicas if s is not None), key=lambda s: (s.epoch, s.run_ms), default=None)
        if newest is None:
            return
        for visitor in self.model.visitors:
            if (visitor.epoch, visitor.position) in self.expired and visitor.epoch == newest.epoch:
                told = standing(newest, visitor.epoch, visitor.position, visitor.active_until_run_ms).status
                assert told is Status.EXPIRED

    @invariant()
    def the_store_is_where_the_model_is(self) -> None:
        if not hasattr(self, "model"):
            return
        seen = self.room.observe()
        assert (seen.epoch, seen.last, seen.edge, seen.run_ms) == (
            self.model.epoch,
            self.model.last,
            self.model.edge,
            self.model.run_ms,
        )
        assert seen.edge <= max(seen.last + 5, 5), "never further past the last joiner than one batch"

    @invariant()
    def moves_are_at_least_an_interval_apart(self) -> None:
        if not hasattr(self, "model"):
            return
        moves = self.model.moves
        for (run_before, now_before, _), (run_after, now_after, interval_ms) in itertools.pairwise(moves):
            assert run_after - run_before >= interval_ms
            assert now_after - now_before >= interval_ms


@pytest.mark.timeout(900)
def test_the_window_keeps_its_promises(server: RealServer) -> None:
    machine = type("Machine", (WindowMachine,), {"server": server})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=200,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    with server.client() as client:
        client.flushall()
