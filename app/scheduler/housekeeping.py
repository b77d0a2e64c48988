"""The loop that every replica runs: keep the snapshots fresh, and do what is due when leading or when it is late."""

import asyncio
import time
from collections.abc import Callable

from app.errors import StoreUnavailable
from app.logs import get_logger
from app.rooms.rooms import Rooms, SomeRoomsAway
from app.scheduler.leader import Leader

log = get_logger(__name__)

SHORTEST_PAUSE_S = 0.005


class Housekeeping:
    """The refresh loop of one replica."""

    def __init__(self, rooms: Rooms, leader: Leader, on_outcome: Callable[[bool], None]) -> None:
        self._rooms = rooms
        self._leader = leader
        self._on_outcome = on_outcome

    @property
    def live_replicas(self) -> int:
        """How many replicas live, as far as this one knows."""
        return self._leader.live_replicas

    async def run(self) -> None:
        """Refresh for ever; an outage is waited out."""
        away = False
        while True:
            started_s = time.monotonic()
            try:
                await self.step()
            except StoreUnavailable:
                if not away:
                    log.warning("store_away")
                away = True
                self._on_outcome(False)
                pause_s = self._rooms.refresh_ms / 1000
            else:
                if away:
                    log.info("store_back")
                away = False
                self._on_outcome(True)
                pause_s = self._rooms.next_due_s() if self._leader.leading else self._rooms.refresh_ms / 1000
                pause_s -= time.monotonic() - started_s
            await asyncio.sleep(max(SHORTEST_PAUSE_S, pause_s))

    async def step(self) -> None:
        """One refresh.

        Raises:
            StoreUnavailable: the snapshots are marked stale, or those of some rooms.
        """
        try:
            await self._rooms.refresh(
                leading=self._leader.leading,
                replica_id=self._leader.replica_id,
                live_replicas=self._leader.live_replicas,
            )
        except SomeRoomsAway:
            await self._leader.renew()
            raise
        await self._leader.renew()
