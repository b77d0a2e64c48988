"""The queue as plain Python: what the scripts must do, said a second time without a store.

Used by the state machine, which does the same to both and compares everything that can be seen.
"""

from dataclasses import dataclass, field

from app.tasks.policy import ROTATION


@dataclass
class ModelTask:
    id: str
    type: str
    priority: int
    max_retries: int
    seq: int
    due: int
    state: str = "ready"
    retries: int = 0
    expiries: int = 0
    attempts: int = 0
    token: int = 0
    until: int = 0
    finished: int = 0
    ended: tuple[int, str, bool] | None = None
    """Token, operation, and whether it was without a token, of the lease that its holder ended last."""


@dataclass
class ModelQueue:
    lease_ms: int = 1000
    max_expiries: int = 3
    now: int = 1_000_000_000
    tasks: dict[str, ModelTask] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    seq: int = 0
    fence: int = 0
    turns: dict[tuple[str, ...], int] = field(default_factory=dict)
    completed: int = 0
    died: int = 0
    expired: int = 0
    deleted: int = 0
    enqueued: int = 0

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def in_state(self, state: str) -> list[ModelTask]:
        return [task for task in self.tasks.values() if task.state == state]

    def enqueue(self, id_: str, type_: str, priority: int, delay: int, max_retries: int, key: str) -> str:
        if key and key in self.keys:
            return self.keys[key]
        if key:
            self.keys[key] = id_
        task = ModelTask(id_, type_, priority, max_retries, self.next_seq(), self.now + delay)
        task.state = "delayed" if delay > 0 else "ready"
        self.tasks[id_] = task
        self.enqueued += 1
        return id_

    def promote(self, bound: int) -> None:
        due = sorted((t for t in self.in_state("delayed") if t.due <= self.now), key=lambda t: (t.due, t.id))
        for task in due[:bound]:
            task.state, task.seq = "ready", self.next_seq()

    def reap(self, bound: int) -> None:
        over = sorted((t for t in self.in_state("leased") if t.until <= self.now), key=lambda t: (t.until, t.id))
        for task in over[:bound]:
            task.expiries += 1
            self.expired += 1
            task.token = 0
            if task.expiries >= self.max_expiries:
                self.die(task)
            else:
                task.state = "ready"

    def die(self, task: ModelTask) -> None:
        task.state, task.finished = "dead", self.now
        self.died += 1

    def claim(self, count: int, types: tuple[str, ...]) -> list[ModelTask]:
        self.promote(10)
        self.reap(10)
        taken: list[ModelTask] = []
        turn = self.turns.get(types, 0)
        while len(taken) < count:
            ready = [t for t in self.in_state("ready") if not types or t.type in types]
            if not ready:
                break
            start = int(ROTATION[turn % len(ROTATION)])
            first = [t for t in ready if t.priority == start] or [
                t for t in ready if t.priority == min(t.priority for t in ready)
            ]
            task = min(first, key=lambda t: t.seq)
            self.fence = max(self.fence + 1, self.now * 1000)
            task.state, task.token, task.until = "leased", self.fence, self.now + self.lease_ms
            task.attempts += 1
            taken.append(task)
            turn += 1
        if taken:
            self.turns[types] = turn
        return taken

    def judge(self, id_: str, token: int, operation: str) -> tuple[int, ModelTask | None]:
        """The status of `_lease.lua`."""
        task = self.tasks.get(id_)
        if task is None:
            return 1, None
        if token == 0:
            if task.state == "leased":
                return 0, task
            same = task.ended is not None and task.ended[1] == operation and task.ended[2]
            return (3 if same else 2), task
        if task.state == "leased" and task.token == token:
            return 0, task
        if task.ended is not None and task.ended[:2] == (token, operation):
            return 3, task
        return 2, task

    def end(self, id_: str, token: int, operation: str) -> int:
        """Complete, fail or release; returns the status."""
        status, task = self.judge(id_, token, operation)
        if status != 0 or task is None:
            return status
        task.ended = (task.token, operation, token == 0)
        task.token = 0
        if operation == "complete":
            task.state, task.finished = "done", self.now
            self.completed += 1
        elif operation == "release":
            task.state = "ready"
            task.attempts -= 1
        else:
            task.retries += 1
            if task.retries >= task.max_retries:
                self.die(task)
            else:
                task.state, task.due = "delayed", self.now + 100 * task.retries
        return 0

    def extend(self, id_: str, token: int) -> int:
        status, task = self.judge(id_, token, "extend")
        if status == 0 and task is not None:
            task.until = self.now + self.lease_ms
        return status

    def revive(self, id_: str) -> int:
        task = self.tasks.get(id_)
        if task is None:
            return 1
        if task.state != "dead":
            return 2
        task.state, task.seq, task.retries, task.expiries = "ready", self.next_seq(), 0, 0
        return 0

    def delete(self, id_: str) -> int:
        task = self.tasks.get(id_)
        if task is None:
            return 1
        if task.state == "leased":
            return 2
        del self.tasks[id_]
        self.deleted += 1
        return 0
