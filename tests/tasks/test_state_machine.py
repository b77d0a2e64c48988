"""The scripts against the plain model, over whatever Hypothesis can think of."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.tasks.policy import ROTATION
from tests.support.servers import RealServer
from tests.tasks.looking import FAKE_NOW, Scripts, check_invariants, set_now
from tests.tasks.model import ModelQueue

TYPES = ("email", "image")
KEEP = {"keep_dead_ms": 10**9, "keep_dead_count": 10**6}


class QueueMachine(RuleBasedStateMachine):
    client: Any

    @initialize()
    def start(self) -> None:
        self.client.flushall()
        self.model = ModelQueue()
        self.run = Scripts(self.client, fragments={"now": FAKE_NOW})
        self.count = 0
        self.tokens: list[tuple[str, int]] = []
        set_now(self.client, self.model.now)
        for number in range(8):  # something to work on from the start, for most of what can go wrong needs a lease
            self.enqueue(TYPES[number % 2], number % 3, 500 * (number == 7), 2, "")
        self.claim(3, ())

    def _some_id(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.model.tasks) or ["nobody"]))

    def _some_lease(self, data: st.DataObject) -> tuple[str, int]:
        id_, token = data.draw(st.sampled_from(self.tokens)) if self.tokens else ("nobody", 1)
        return id_, data.draw(st.sampled_from([token, token, token, 0]))

    @rule(
        type_=st.sampled_from(TYPES),
        priority=st.integers(0, 2),
        delay=st.sampled_from([0, 0, 0, 500]),
        max_retries=st.integers(0, 3),
        key=st.sampled_from(["", "", "a", "b"]),
    )
    def enqueue(self, type_: str, priority: int, delay: int, max_retries: int, key: str) -> None:
        self.count += 1
        id_ = f"t{self.count}"
        entry = [id_, type_, '{"n":1}', priority, 0, delay, max_retries, 0, key]
        _, stats, [[given, new]] = self.run("enqueue", remember_ms=10**8, entries=entry)
        assert given == self.model.enqueue(id_, type_, priority, delay, max_retries, key)
        assert new == (given == id_)
        assert stats[0] == len(self.model.in_state("ready")) + len(self.model.in_state("delayed"))

    @rule(count=st.integers(1, 4), types=st.sampled_from([(), (), ("email",), ("image",), TYPES]))
    def claim(self, count: int, types: tuple[str, ...]) -> None:
        _, _, views, expired = self.run(
            "claim",
            count=count,
            lease_ms=self.model.lease_ms,
            worker="w",
            arm=1,
            rotation=ROTATION,
            max_expiries=self.model.max_expiries,
            types=list(types),
            **KEEP,
        )
        before = self.model.expired
        expected = self.model.claim(count, types)
        assert expired == self.model.expired - before
        assert [(view[0], int(view[1][11])) for view in views] == [(task.id, task.token) for task in expected]
        self.tokens += [(task.id, task.token) for task in expected]

    @rule(data=st.data(), operation=st.sampled_from(["complete", "complete", "fail", "release"]))
    def end(self, data: st.DataObject, operation: str) -> None:
        id_, token = self._some_lease(data)
        expected = self.model.end(id_, token, operation)
        given = token or ""
        if operation == "complete":
            limits = {"keep_ms": 10**9, "keep_count": 10**6, "keep_bytes": 10**9}
            _, [[status, *_]] = self.run("complete", need_token=0, entries=[id_, given, "1"], **limits)
        elif operation == "release":
            _, [status] = self.run("release", need_token=0, entries=[id_, given])
        else:
            delays = [100, 200, 300, 400]
            status, *_ = self.run(
                "fail", id=id_, token=given, need_token=0, error="e", final=0, delay_ms=-1, delays_ms=delays, **KEEP
            )
        assert status == expected

    @rule(data=st.data())
    def extend(self, data: st.DataObject) -> None:
        id_, token = self._some_lease(data)
        status, _ = self.run("extend", id=id_, token=token or "", need_token=0, lease_ms=self.model.lease_ms)
        assert status == self.model.extend(id_, token)

    @rule(ms=st.sampled_from([1, 60, 400, 1100]))
    def time_passes(self, ms: int) -> None:
        self.model.now += ms
        set_now(self.client, self.model.now)

    @rule()
    def maintain(self) -> None:
        limits = {"keep_ms": 10**9, "keep_count": 10**6, "keep_bytes": 10**9}
        self.run("maintain", bound=200, max_expiries=self.model.max_expiries, log_ms=0, **limits, **KEEP)
        self.model.promote(200)
        self.model.reap(200)

    @precondition(lambda self: self.model.in_state("dead"))
    @rule(data=st.data())
    def revive(self, data: st.DataObject) -> None:
        id_ = data.draw(st.sampled_from(sorted(task.id for task in self.model.in_state("dead"))))
        reply = self.run("revive", id=id_, until_ms="", bound=1)
        assert reply[0] == self.model.revive(id_)

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        id_ = self._some_id(data)
        reply = self.run("delete", id=id_, state="", until_ms="", bound=1)
        assert reply[0] == self.model.delete(id_)

    @rule()
    def forget_scripts(self) -> None:
        self.client.script_flush()

    @invariant()
    def same_as_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        check_invariants(self.client, "default")
        for task in self.model.tasks.values():
            names = ("state", "retries", "expiries", "attempts")
            fields = self.client.hmget(f"stanchion:{{tasks:default}}:t:{task.id}", names)
            assert fields == [task.state, str(task.retries), str(task.expiries), str(task.attempts)]
        meta = self.client.hgetall("stanchion:{tasks:default}:meta")
        model = self.model
        for name, value in (
            ("enqueued", model.enqueued),
            ("completed", model.completed),
            ("died", model.died),
            ("expiries", model.expired),
            ("deleted", model.deleted),
        ):
            assert int(meta.get(name, 0)) == value
        total = len(model.tasks) + model.deleted
        assert model.enqueued == total


def test_the_scripts_do_what_the_model_says(server: RealServer) -> None:
    with server.client() as client:
        machine = type("Machine", (QueueMachine,), {"client": client})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=50, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
        client.flushall()
