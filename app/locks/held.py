"""The operator's list of held locks: each replica notes once a second what is held through it.

The list is an index to look things up by, never the truth: what it names is looked at before it is shown.
"""

import asyncio

from app.locks.model import Grant, LockView
from app.locks.scripts import LockScripts
from app.metrics import Metrics

NOTE_EVERY_S = 1.0
NOTED_AT_ONCE = 1000
"""How many locks one script notes."""


class HeldLocks:
    """What is held through this replica, as far as it knows."""

    def __init__(self, scripts: LockScripts, metrics: Metrics) -> None:
        self._scripts = scripts
        self._metrics = metrics
        self._grants: dict[str, tuple[str, float]] = {}

    def add(self, grant: Grant) -> None:
        """A lock was granted or renewed."""
        self._grants[grant.token] = (grant.lock_id, grant.asked_s + grant.lease_ms / 1000)
        self._metrics.locks_held.set(len(self._grants))

    def remove(self, token: str) -> None:
        """A lock was released or lost."""
        if self._grants.pop(token, None) is not None:
            self._metrics.locks_held.set(len(self._grants))

    async def keep_noting(self) -> None:
        """Note what is held, for as long as the replica runs."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(NOTE_EVERY_S)
            now_s = loop.time()
            for token in [token for token, (_, ends_s) in self._grants.items() if ends_s <= now_s]:
                self.remove(token)
            held = list(self._grants.values())
            for start in range(0, len(held), NOTED_AT_ONCE):
                entries: list[str | int] = []
                for lock_id, ends_s in held[start : start + NOTED_AT_ONCE]:
                    entries += (int((ends_s - now_s) * 1000), lock_id)
                await self._scripts.index(entries, count=0, purpose="background")

    async def listed(self, count: int) -> tuple[int, list[LockView]]:
        """How many locks are noted as held, and up to `count` of them as they stand, soonest to end first."""
        total, lock_ids = await self._scripts.index((), count=count, purpose="request")
        views = await self._scripts.look_at_all(lock_ids)
        held = [view for view in views if view.holders]
        return total - (len(lock_ids) - len(held)), held
