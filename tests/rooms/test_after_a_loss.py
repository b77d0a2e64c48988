"""What is put together again after the store has lost writes: real replicas' memories, scripts on a clock of the test's own."""

from typing import Any, NamedTuple

import pytest

from app.clock import SystemClock
from app.rooms.room import Room
from app.rooms.rooms import SCRIPTS
from app.rooms.settings import RoomSettings
from app.rooms.window import Status
from app.store import Call
from tests.support.scripts import HEAL_MS, ScriptedRoom
from tests.support.servers import RealServer

LONG = {"claim_seconds": 60.0, "session_seconds": 600.0}


class Shop(NamedTuple):
    """A room in the store, and the replicas that serve it."""

    store: ScriptedRoom
    replicas: list[Room]

    def perform(self, call: Call) -> list[Any]:
        name = next(name for name, script in SCRIPTS.items() if script is call.script)
        reply: list[Any] = self.store.run(name, dict(call.keys), dict(call.args))
        return reply

    def look(self, replica: Room) -> None:
        """One refresh of a replica that leads."""
        reply = self.perform(replica.look(tick=True, leading=True))
        if reply[0] == -1:
            self.perform(replica.declaration())
            reply = self.perform(replica.look(tick=True, leading=True))
        replica.take([item.encode() if isinstance(item, str) else item for item in reply])
        for call in replica.pending_report(str(id(replica)), len(self.replicas)):
            assert self.perform(call)[0] == 0
            replica.report_done()

    def all_look(self) -> None:
        for replica in self.replicas:
            self.look(replica)

    def pass_time(self, ms: int) -> None:
        """Time in which the replicas look four times a second."""
        for _ in range(ms // 250):
            self.store.now_ms += 250
            self.all_look()

    def join(self, replica: Room, count: int) -> list[int]:
        """Join through a replica; the positions given."""
        reply = self.store.join_all(count)
        replica._gatherer.on_given(reply[2], reply[3] + reply[7] - 1)
        replica._gatherer.on_edge(reply[2], reply[4], reply[6])
        return list(range(reply[3], reply[3] + reply[7]))

    def enter(self, replica: Room, position: int) -> int:
        replica.note_seen(1, position)
        reply = self.store.enter(1, position)
        if reply[0] == 0:
            replica.note_visit(1, position, reply[5], "e")
        return int(reply[0])

    def leave(self, replica: Room, position: int) -> None:
        reply = self.store.leave(1, position)
        replica.note_visit(1, position, reply[2], "x")

    def forget_everything(self) -> None:
        """The store loses all it had, and is healed."""
        self.store.client.flushall()
        self.all_look()
        self.pass_time(2 * HEAL_MS)

    def told(self, replica: Room, position: int) -> Status:
        assert replica.snapshot is not None
        return replica.stand(replica.snapshot, 1, position, 0).status

    def active(self) -> set[int]:
        keys = self.store._keys
        return {int(p) for part in ("turns", "sessions") for p in self.store.client.zrange(keys[part], 0, -1)}


@pytest.fixture
def make(server: RealServer) -> Any:
    def made(**given: Any) -> Shop:
        store = ScriptedRoom(server.client())
        config = RoomSettings(**given)
        store.declare(config)
        replicas = [Room("default", None, None, SCRIPTS, SystemClock(), HEAL_MS) for _ in range(2)]  # type: ignore[arg-type]
        shop = Shop(store, replicas)
        shop.all_look()
        return shop

    yield made
    with server.client() as client:
        client.flushall()


def test_sessions_turns_and_ended_visits_are_what_they_were(make: Any) -> None:
    shop = make(max_active=3, **LONG)
    one, other = shop.replicas
    shop.join(one, 6)
    assert shop.enter(one, 1) == shop.enter(other, 2) == 0
    shop.leave(other, 2)
    shop.pass_time(500)
    before = shop.active()
    shop.forget_everything()
    assert shop.active() == before == {1, 3, 4}
    assert [shop.told(other, p) for p in range(1, 7)] == [
        Status.ENTERED,
        Status.ENDED,
        Status.ACTIVE,
        Status.ACTIVE,
        Status.WAITING,
        Status.WAITING,
    ]


def test_the_pace_starts_with_nothing_saved_up(make: Any) -> None:
    shop = make(rate_per_minute=60, rate_burst=4, **LONG)
    shop.join(shop.replicas[0], 20)
    assert shop.active() == {1, 2, 3, 4}
    shop.forget_everything()
    assert shop.active() <= {1, 2, 3, 4, 5}, "at most what a second allows; the burst was used before the loss"
    shop.pass_time(3000)
    assert 7 <= len(shop.active()) <= 8


def test_a_batch_is_not_given_twice(make: Any) -> None:
    shop = make(batches=True, window_size=3, window_interval_seconds=10, max_active=100, **LONG)
    shop.pass_time(11_000)
    shop.join(shop.replicas[0], 9)  # only this replica is told of the batch, by the joins' own answer
    assert shop.active() == {1, 2, 3}
    shop.forget_everything()
    shop.pass_time(8000)
    assert shop.active() == {1, 2, 3}
    shop.pass_time(2000)
    assert shop.active() == {1, 2, 3, 4, 5, 6}


def test_whoever_was_passed_over_stays_so_and_whoever_came_back_stays_in_front(make: Any) -> None:
    shop = make(max_active=1, pass_over=True, pass_over_seconds=60, grace_seconds=300, **LONG)
    one = shop.replicas[0]
    shop.join(one, 6)
    for absent in (2, 3, 4):
        shop.store.client.zadd(shop.store._keys["seen"], {str(absent): 0})
    shop.leave(one, 1)  # 5 gets the turn; 2, 3 and 4 are stepped over
    shop.store.seen(1, 3, 0)
    shop.store.seen(1, 4, 0)
    shop.pass_time(500)
    expected = [Status.ENDED, Status.PASSED, Status.WAITING, Status.WAITING, Status.ACTIVE, Status.WAITING]
    assert [shop.told(one, p) for p in range(1, 7)] == expected
    shop.forget_everything()
    assert shop.active() == {5}
    for replica in shop.replicas:
        assert [shop.told(replica, p) for p in range(1, 7)] == expected
    shop.leave(one, 5)
    shop.pass_time(250)
    assert shop.active() == {3}, "the first who came back, before those who wait"
    shop.forget_everything()
    assert shop.active() == {3}, "a turn given at the front is a turn still"


def test_only_slots_freed_unseen_can_exceed_the_cap_and_nobody_is_let_in_until_it_holds_again(make: Any) -> None:
    shop = make(max_active=3, **LONG)
    one, other = shop.replicas
    shop.join(one, 3)
    shop.pass_time(250)
    shop.store.leave(1, 2)  # a replica that dies before it has told anybody
    shop.join(other, 2)  # of these, one gets the slot, and is told so
    assert shop.active() == {1, 3, 4}
    shop.forget_everything()
    assert shop.active() == {1, 2, 3, 4}, "whom the store lost has a turn again; who was told of a turn keeps it"
    shop.join(one, 2)
    shop.leave(one, 1)
    shop.pass_time(1000)
    assert shop.active() == {2, 3, 4}, "full, no more"
    shop.leave(one, 2)
    assert shop.active() == {3, 4, 5}


def test_positions_that_a_loss_left_out_take_no_slot_after_the_next_loss(make: Any) -> None:
    shop = make(max_active=3, **LONG)
    one = shop.replicas[0]
    shop.join(one, 2)
    shop.forget_everything()
    first, *others = shop.join(one, 3)
    assert first > 3, "some were left out"
    shop.pass_time(500)
    shop.forget_everything()
    assert shop.active() == {1, 2, first}
    shop.leave(one, 1)
    assert shop.active() == {2, first, others[0]}, "as soon as a slot is free, the next in line has it"


def test_positions_that_a_loss_left_out_hold_nobody_up_after_the_next_loss(make: Any) -> None:
    shop = make(max_active=1, pass_over=True, **LONG)
    one = shop.replicas[0]
    shop.join(one, 2)
    shop.forget_everything()
    behind = shop.join(one, 1)[0]
    shop.pass_time(500)
    shop.forget_everything()
    for replica in shop.replicas:
        assert replica.snapshot is not None
        assert replica.snapshot.waiting == 2
    shop.leave(one, 1)
    shop.leave(one, 2)
    assert shop.active() == {behind}
    assert shop.store.client.zcard(shop.store._keys["seen"]) == 0, "of those who were left out nothing is noted"


def test_who_was_given_a_position_that_a_late_replica_believes_left_out_keeps_it(make: Any) -> None:
    shop = make(max_active=2, **LONG)
    shop.join(shop.replicas[0], 3)
    shop.pass_time(250)
    shop.forget_everything()
    late = shop.replicas.pop()
    assert late.snapshot is not None
    after, to = late.snapshot.gaps[0]
    shop.store.client.flushall()
    shop.replicas[0] = one = Room("default", None, None, SCRIPTS, SystemClock(), HEAL_MS)  # type: ignore[arg-type]
    shop.store.declare(RoomSettings(max_active=2, **LONG))
    given = shop.join(one, after + 1)
    assert given[-1] == after + 1 < to, "nobody who was there knew better"
    shop.look(late)
    had_a_turn: set[int] = set()
    while active := shop.active():
        had_a_turn |= active
        for position in active:
            shop.leave(one, position)
    assert had_a_turn >= set(given)


def test_places_that_a_replica_only_knows_from_its_looks_are_not_given_twice_in_a_room_that_stands_still(
    make: Any,
) -> None:
    shop = make(max_active=1, **LONG)
    _, other = shop.replicas
    shop.store.control("pause")
    shop.store.join_all(5)
    kept = shop.store.client.hgetall(shop.store._keys["state"])
    shop.store.join_all(20)  # through a replica that then dies together with the store's last writes
    shop.look(other)
    shop.replicas.remove(shop.replicas[0])
    shop.store.client.hset(shop.store._keys["state"], mapping={**kept, "run_id": "another process"})
    shop.pass_time(2 * HEAL_MS)
    assert shop.join(other, 1)[0] > 25


def test_what_an_operator_has_set_in_a_declared_room_comes_back(make: Any) -> None:
    declared = {"max_active": 3, **LONG}
    shop = make(**declared)
    shop.store.configure(RoomSettings(max_active=1, **LONG))
    shop.all_look()
    for replica in shop.replicas:
        replica.declared = RoomSettings(**declared)
    shop.forget_everything()
    shop.join(shop.replicas[0], 3)
    assert len(shop.active()) == 1
    assert {replica.settings.max_active for replica in shop.replicas} == {1}


def test_settings_that_come_back_late_begin_no_new_line(make: Any) -> None:
    shop = make(window_size=20)
    one = shop.replicas[0]
    joined = shop.join(one, 3)
    shop.store.configure(RoomSettings(window_size=10))
    shop.look(one)
    shop.store.client.flushall()
    shop.store.declare(RoomSettings(window_size=20))
    shop.look(one)  # it was cut off until now, and nobody else knew of the change, or of anybody
    shop.pass_time(250)
    assert one.snapshot is not None
    assert (one.snapshot.epoch, one.snapshot.size) == (1, 10)
    assert {shop.told(one, position) for position in joined} == {Status.ACTIVE}


def test_a_session_beyond_the_edge_that_was_lost_is_not_given_a_turn_besides(make: Any) -> None:
    shop = make(max_active=2, **LONG)
    one = shop.replicas[0]
    shop.store.join_all(2)
    shop.look(one)
    shop.store.leave(1, 1)
    shop.store.join_all(1)
    shop.leave(one, 2)
    assert shop.enter(one, 3) == 0  # the replica knows of the session, not of the edge
    shop.forget_everything()
    shop.leave(one, 1)
    shop.join(one, 3)
    shop.pass_time(500)
    turns = {int(p) for p in shop.store.client.zrange(shop.store._keys["turns"], 0, -1)}
    assert 3 not in turns
    assert shop.told(one, 3) is Status.ENTERED


def test_a_restart_that_loses_nothing_revives_nobody(make: Any) -> None:
    shop = make(max_active=1, pass_over=True, pass_over_seconds=60, grace_seconds=1, **LONG)
    one = shop.replicas[0]
    shop.join(one, 3)
    shop.store.client.zadd(shop.store._keys["seen"], {"2": 0})
    shop.leave(one, 1)
    shop.pass_time(1500)
    assert shop.told(one, 2) is Status.EXPIRED, "the grace is over"
    shop.store.client.hset(shop.store._keys["state"], "run_id", "another process")
    shop.pass_time(4 * HEAL_MS)
    assert shop.active() == {3}
    assert shop.told(one, 2) is Status.EXPIRED


def test_an_allowance_outlives_a_restart_that_loses_nothing(make: Any) -> None:
    shop = make(rate_per_minute=60, rate_burst=4, **LONG)
    shop.join(shop.replicas[0], 1)
    shop.store.client.hset(shop.store._keys["state"], "run_id", "another process")
    shop.pass_time(4 * HEAL_MS)
    shop.join(shop.replicas[0], 9)
    assert len(shop.active()) >= 4, "the burst that was left is still there"


def test_a_passed_over_visitor_who_leaves_does_not_come_back(make: Any) -> None:
    shop = make(max_active=1, pass_over=True, pass_over_seconds=60, grace_seconds=300, claim_seconds=1)
    one = shop.replicas[0]
    shop.join(one, 4)
    for absent in (2, 3):
        shop.store.client.zadd(shop.store._keys["seen"], {str(absent): 0})
    shop.leave(one, 1)
    shop.pass_time(1500)  # the window of 2 and 3 is over, their grace is not
    shop.store.seen(1, 3, 0)
    assert shop.store.leave(1, 2)[1] == 1
    shop.store.seen(1, 2, 0)
    shop.leave(one, 3)
    shop.pass_time(2000)
    assert shop.told(one, 2) is Status.ENDED
    assert shop.told(one, 3) is Status.ENDED
    assert not {2, 3} & shop.active()


def test_turning_passing_over_on_again_counts_everybody_as_just_seen(make: Any) -> None:
    shop = make(max_active=1, pass_over=True, pass_over_seconds=1, **LONG)
    one = shop.replicas[0]
    shop.join(one, 2)
    shop.store.client.zadd(shop.store._keys["seen"], {"2": 1})
    shop.pass_time(500)
    for pass_over in (False, True):
        shop.store.configure(RoomSettings(max_active=1, pass_over=pass_over, pass_over_seconds=1, **LONG))
    shop.leave(one, 1)
    assert shop.active() == {2}


def test_what_a_replica_remembers_from_before_does_not_undo_what_came_later(make: Any) -> None:
    shop = make(max_active=2, **LONG)
    one = shop.replicas[0]
    shop.join(one, 2)
    assert shop.enter(one, 1) == shop.enter(one, 2) == 0
    shop.leave(one, 1)
    ends_ms = shop.store.client.zscore(shop.store._keys["sessions"], "2")
    shop.store.now_ms += 1000
    old_news = {"epoch": 1, "visits": ["1:1:e:0", "2:1:p:99999999"]}
    assert shop.perform(Call(SCRIPTS["restore"], one.keys, old_news)) == [0, 0]
    assert shop.store.enter(1, 1) == [-8]
    assert shop.store.enter(1, 2)[3] == ends_ms, "a session that was not lost is not prolonged"


def test_every_replica_learns_what_another_has_brought_back_in_whatever_order(make: Any) -> None:
    shop = make(max_active=3, **LONG)
    first, second = shop.replicas
    shop.replicas.append(third := Room("default", None, None, SCRIPTS, SystemClock(), HEAL_MS))  # type: ignore[arg-type]
    shop.join(first, 3)
    shop.all_look()
    assert shop.enter(first, 1) == 0
    shop.store.now_ms += 10
    assert shop.enter(second, 2) == 0
    shop.store.client.flushall()
    for replica in (second, third, first):  # the third sees the later news before the earlier
        shop.look(replica)
    shop.pass_time(2 * HEAL_MS)
    assert [shop.told(third, p) for p in (1, 2, 3)] == [Status.ENTERED, Status.ENTERED, Status.ACTIVE]
