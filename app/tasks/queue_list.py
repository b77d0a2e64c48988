"""Which queues there are: a queue is listed from its first task on, and forgotten once nothing is left of it.

The list and a queue's own keys may lie on different nodes of a cluster, so no one step can change both. What
keeps them together is time: whoever puts something into a queue has noted it on the list seconds before, and
only a queue that has not been noted for an hour is looked at, dropped if it is empty, and then taken off the
list unless it was noted again meanwhile. A process would have to stand still for that hour, between its note
and its task, to put a task into a queue that is not listed; such a task is still handed out, and the queue is
listed again with the next one.
"""

import time
from collections.abc import Sequence

from app.errors import Conflict
from app.store import Call, Store
from app.store.keys import TASK_QUEUES, task_queue
from app.tasks.scripts import SCRIPTS

MAX_QUEUES = 1000
UNUSED_S = 3600.0
"""A queue that nothing was put into for so long is forgotten, if nothing is left in it."""
NOTED_S = 30.0
"""A replica notes the same queue no more often; much shorter than `UNUSED_S`."""


class QueueList:
    """The list of all replicas."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._noted_until: dict[str, float] = {}
        self._dropped: list[str] = []

    async def names(self) -> list[str]:
        """Every queue there is, by name."""
        found = await self._store.command(lambda: self._store.client.zrange(TASK_QUEUES, 0, -1), about=[TASK_QUEUES])
        return sorted(name.decode() for name in found)

    async def note(self, queue: str) -> None:
        """Put the queue on the list, or note that it is in use; to be called before anything is put into it.

        Raises:
            Conflict: it would be one queue too many.
        """
        now = time.monotonic()
        if self._noted_until.get(queue, 0.0) > now:
            return
        [full] = await self._store.run(SCRIPTS["note"], {"queues": TASK_QUEUES}, {"queue": queue, "most": MAX_QUEUES})
        if full:
            raise Conflict(f"There are {MAX_QUEUES} queues already; use task types to tell kinds of work apart.")
        if len(self._noted_until) >= MAX_QUEUES:
            self._noted_until = {name: until for name, until in self._noted_until.items() if until > now}
        self._noted_until[queue] = now + NOTED_S

    async def forget_unused(self, unused_s: float = UNUSED_S) -> None:
        """Drop what is left of queues that are empty and unused, and take those dropped the last time off the list."""
        _, unused = await self._store.run(
            SCRIPTS["unused"],
            {"queues": TASK_QUEUES},
            {"unused_ms": int(unused_s * 1000), "dropped": self._dropped},
            purpose="background",
        )
        self._dropped = await self._drop([name.decode() for name in unused])

    async def _drop(self, queues: Sequence[str]) -> list[str]:
        calls = [Call(SCRIPTS["clear"], {"meta": task_queue(queue, "meta")}, {"forget": 1}) for queue in queues]
        replies = await self._store.run_many(calls, purpose="background")
        return [queue for queue, reply in zip(queues, replies, strict=True) if reply == [0]]
