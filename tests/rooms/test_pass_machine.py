"""Whose pass counts, over random entries, walk-ins, renewals, endings, settings and time.

A plain model knows every pass that was ever signed and every session's end. At every step each replica (one that
follows, one that is often away, one that has just come) must refuse whatever has ended and refuse nothing that has not.
"""

from math import ceil
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from app.rooms.marks import Marks
from app.rooms.settings import RoomSettings
from app.rooms.snapshot import Snapshot
from tests.support.scripts import ScriptedRoom
from tests.support.servers import RealServer

HOUR_S = 3600
CAP = 4


class Signed(NamedTuple):
    """What a pass says."""

    position: int
    issued_s: int
    expires_s: int


class Replica:
    """The memory of one replica."""

    def __init__(self) -> None:
        self.marks = Marks()
        self.snapshot: Snapshot | None = None

    def look(self, room: ScriptedRoom) -> Snapshot:
        """Look until there is nothing more to learn."""
        room.marks = self.marks
        while True:
            self.snapshot = room.tick(self.snapshot)
            if self.marks.complete:
                return self.snapshot


class Machine(RuleBasedStateMachine):
    """A room with a cap, short memory, and everything that can happen to sessions."""

    server: Any

    @initialize(most_done=st.sampled_from([2, 5, 200_000]), session_s=st.sampled_from([5, 60, 3 * HOUR_S]))
    def begin(self, most_done: int, session_s: int) -> None:
        self.server.flushall()
        self.room = ScriptedRoom(self.server)
        self.room.fragments["most_done"] = f"local MOST_DONE = {most_done}\n"
        self.room.declare(self.config(session_s))
        self.passes: list[Signed] = []
        self.ends_ms: dict[int, int] = {}
        self.ended: set[int] = set()
        self.given: set[int] = set()
        self.follows, self.strays = Replica(), Replica()

    def config(self, session_s: int) -> RoomSettings:
        return RoomSettings(
            max_active=CAP, claim_seconds=1, session_seconds=session_s, max_session_seconds=max(session_s, 10_000)
        )

    def sign(self, position: int, ends_ms: int) -> None:
        self.ends_ms[position] = ends_ms
        self.passes.append(Signed(position, self.room.now_ms // 1000, ceil(ends_ms / 1000)))

    def live(self) -> list[int]:
        now_ms = self.room.now_ms
        return [at for at, ends_ms in self.ends_ms.items() if at not in self.ended and ends_ms > now_ms]

    @rule()
    def somebody_joins_and_enters_if_it_is_their_turn(self) -> None:
        position = self.room.join(1)[3]
        assert position not in self.given
        self.given.add(position)
        reply = self.room.enter(1, position)
        if reply[0] == 0:
            self.sign(position, reply[3])

    @rule(count=st.integers(1, 3), hold_s=st.sampled_from([1, 30]))
    def newcomers_walk_in(self, count: int, hold_s: int) -> None:
        before = self.follows.look(self.room)
        reply = self.room.walk_in(count, hold_s * 1000)
        assert reply[0] == 0
        parts = [reply[i : i + 5] for i in range(5, len(reply), 5)]
        assert not parts or before.waiting == 0, "nobody walks past those who wait"
        for position, _, ends_ms, _, _ in parts:
            assert position not in self.given
            self.given.add(position)
            self.sign(position, ends_ms)

    @rule(pick=st.integers(0, 10**6))
    def somebody_renews(self, pick: int) -> None:
        if not self.ends_ms:
            return
        position = sorted(self.ends_ms)[pick % len(self.ends_ms)]
        was_live = position in self.live()
        reply = self.room.renew(1, position)
        assert (reply[0] == 0) == was_live
        if was_live:
            self.sign(position, reply[3])

    @rule(pick=st.integers(0, 10**6))
    def somebody_leaves(self, pick: int) -> None:
        if not self.given:
            return
        position = sorted(self.given)[pick % len(self.given)]
        self.room.leave(1, position)
        self.ended.add(position)

    @rule(session_s=st.sampled_from([1, 60, 2 * HOUR_S, 5 * HOUR_S]))
    def the_operator_changes_how_long_sessions_last(self, session_s: int) -> None:
        self.room.configure(self.config(session_s))

    @rule(seconds=st.integers(1, 6))
    def time_goes_by(self, seconds: int) -> None:
        for _ in range(seconds):
            self.room.now_ms += 1000
            self.follows.look(self.room)

    @rule(seconds=st.sampled_from([600, HOUR_S, 2 * HOUR_S + 61]))
    def much_time_goes_by(self, seconds: int) -> None:
        self.room.now_ms += seconds * 1000
        self.time_goes_by(3)

    @rule()
    def the_stray_comes_back(self) -> None:
        self.tell_the_truth(self.strays)

    @invariant()
    def whose_pass_counts_is_known_to_whoever_looks(self) -> None:
        if hasattr(self, "room"):
            for replica in (self.follows, Replica()):
                self.tell_the_truth(replica)

    @invariant()
    def the_cap_holds(self) -> None:
        if hasattr(self, "room"):
            snapshot = self.follows.look(self.room)
            assert snapshot.turns + snapshot.sessions <= CAP

    def tell_the_truth(self, replica: Replica) -> None:
        snapshot, live, now_s = replica.look(self.room), set(self.live()), self.room.now_ms / 1000
        for signed in self.passes:
            if signed.expires_s > now_s:
                ended = replica.marks.ended(snapshot, signed.position, signed.issued_s)
                assert ended == (signed.position not in live), signed

    def teardown(self) -> None:
        self.server.flushall()


@pytest.mark.timeout(900)
def test_every_replica_knows_at_every_moment_whose_pass_counts(server: RealServer) -> None:
    with server.client() as client:
        Machine.server = client
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=120, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
