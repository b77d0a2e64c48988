"""Who does the housekeeping first. Leading saves duplicated effort and nothing more: no promise rests on it."""

from pathlib import Path

from app.clock import Clock
from app.errors import StoreUnavailable
from app.logs import get_logger
from app.store import Store, keys, load_scripts

log = get_logger(__name__)

SCRIPTS = load_scripts(Path(__file__).parent / "lua")

LEASE_MS = 3000
RENEW_S = 1.0
FORGET_MS = 3000
"""A replica that has not been seen for this long is not waited for."""


class Leader:
    """This replica's claim to lead, and its view of how many replicas live."""

    def __init__(self, replica_id: str, store: Store, clock: Clock) -> None:
        self.replica_id = replica_id
        self._store = store
        self._clock = clock
        self._renewed_s = float("-inf")
        self._most = (float("-inf"), 1)
        self.leading = False

    @property
    def live_replicas(self) -> int:
        """The most replicas seen of late: a store that has just forgotten everything does not make it fewer."""
        return self._most[1]

    async def renew(self) -> None:
        """Keep or take the lead, once a second at most.

        Raises:
            StoreUnavailable: nobody can lead now.
        """
        now_s = self._clock.monotonic_s()
        if now_s - self._renewed_s < RENEW_S:
            return
        was_leading, self.leading = self.leading, False
        reply = await self._store.run(
            SCRIPTS["lead"],
            {"leader": keys.LEADER, "term": keys.LEADER_TERM, "seen": keys.REPLICAS_SEEN},
            {"replica": self.replica_id, "lease_ms": LEASE_MS, "forget_ms": FORGET_MS},
            purpose="background",
        )
        self._renewed_s = now_s
        self.leading = reply[1] > 0
        if self.leading and not was_leading:
            log.info("leading", term=reply[1])
        seen_s, most = self._most
        if reply[2] >= most or now_s - seen_s > FORGET_MS / 1000:
            self._most = (now_s, reply[2])

    async def retire(self) -> None:
        """Give up the lead and be forgotten, so that nobody waits for this replica."""
        try:
            await self._store.run(
                SCRIPTS["retire"],
                {"leader": keys.LEADER, "seen": keys.REPLICAS_SEEN},
                {"replica": self.replica_id},
                purpose="background",
            )
        except StoreUnavailable:
            log.info("retired_unheard")
