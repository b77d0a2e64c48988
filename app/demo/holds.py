"""Which visitor is deciding about which seat: an ID lock each, renewed for as long as the visitor may decide."""

import asyncio
import secrets
from dataclasses import dataclass, field

from app.client.locks import HeldLock, LockClient, LockError, LockLostError
from app.demo.hall import Seat
from app.logs import get_logger

log = get_logger(__name__)

LEASE_S = 10.0
"""If this site dies, the seats that its visitors looked at are free again after so long."""
DECIDE_S = 120.0
"""How long a visitor may look at a seat."""
RETRY_S = 0.5


@dataclass
class Hold:
    """A visitor's seat for now."""

    visitor: str
    seat: Seat
    lock: HeldLock
    until_s: float
    """When the time to decide is over, on the event loop's clock."""
    order_id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    """The order that this hold may become: made here, so that pressing the button twice orders once."""
    keeping: asyncio.Task[None] | None = None

    @property
    def left_s(self) -> float:
        """How long the visitor may still think."""
        return max(0.0, self.until_s - asyncio.get_running_loop().time())


class Holds:
    """The holds of this site's visitors, at most one each."""

    def __init__(self, locks: LockClient, *, lease_s: float = LEASE_S, decide_s: float = DECIDE_S) -> None:
        self._locks = locks
        self._lease_s = lease_s
        self._decide_s = decide_s
        self._by_visitor: dict[str, Hold] = {}
        # Two presses of one visitor must not both find them without a seat.
        self._turns = [asyncio.Lock() for _ in range(64)]

    def of(self, visitor: str) -> Hold | None:
        """What a visitor holds."""
        return self._by_visitor.get(visitor)

    def names(self, evening: int) -> set[str]:
        """The seats of an evening that visitors of this site look at."""
        return {hold.seat.name for hold in self._by_visitor.values() if hold.seat.evening == evening}

    async def take(self, visitor: str, seat: Seat) -> Hold:
        """Take a seat's lock; the seat held before is given up once this one is had.

        Raises:
            LockHeldError: somebody else looks at it. What was held before stays held.
            LockError: the service refused or did not answer.
        """
        async with self._turn(visitor):
            before = self.of(visitor)
            if before is not None and before.seat == seat:
                return before
            lock = await self._locks.acquire(seat.lock_id, lease_s=self._lease_s, owner="box office")
            hold = Hold(visitor, seat, lock, asyncio.get_running_loop().time() + self._decide_s)
            self._by_visitor[visitor] = hold
            hold.keeping = asyncio.create_task(self._keep(hold), name=f"hold {seat.lock_id}")
            if before is not None:
                await self._give_up(before)
            return hold

    async def let_go(self, visitor: str) -> None:
        """Give up what a visitor holds, if anything."""
        async with self._turn(visitor):
            hold = self._by_visitor.pop(visitor, None)
            if hold is not None:
                await self._give_up(hold)

    async def aclose(self) -> None:
        """Give everything up."""
        await asyncio.gather(*(self.let_go(visitor) for visitor in list(self._by_visitor)))

    def _turn(self, visitor: str) -> asyncio.Lock:
        return self._turns[hash(visitor) % len(self._turns)]

    async def _keep(self, hold: Hold) -> None:
        """Renew the lock until the time to decide is over; forget the hold when it is lost."""
        loop = asyncio.get_running_loop()
        try:
            while hold.left_s > 0:
                await asyncio.sleep(min(self._lease_s / 3, hold.left_s))
                while True:
                    try:
                        hold.lock = await self._locks.renew(hold.lock)
                        break
                    except LockLostError:
                        log.info("hold_lost", seat=hold.seat.name)
                        return
                    except LockError as error:
                        if loop.time() > hold.lock.safe_until_s:
                            log.info("hold_lost", seat=hold.seat.name, error=str(error))
                            return
                        await asyncio.sleep(RETRY_S)
            await self._release(hold)
        finally:
            if self._by_visitor.get(hold.visitor) is hold:
                del self._by_visitor[hold.visitor]

    async def _give_up(self, hold: Hold) -> None:
        if hold.keeping is not None:
            hold.keeping.cancel()
            await asyncio.gather(hold.keeping, return_exceptions=True)
        await self._release(hold)

    async def _release(self, hold: Hold) -> None:
        try:
            await self._locks.release(hold.lock)
        except LockError as error:  # its lease frees it at the latest
            log.info("release_unheard", seat=hold.seat.name, error=str(error))
