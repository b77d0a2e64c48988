"""Holding a lock while a block of work runs: renewed in time, cut short before the lease ends, given up after."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from app.errors import HoldAborted, LockLost, StoreUnavailable
from app.locks.model import Grant

RENEWALS_PER_LEASE = 3
RETRY_S = 0.1

Renew = Callable[[Grant], Awaitable[Grant]]


@asynccontextmanager
async def kept(grant: Grant, renew: Renew) -> AsyncIterator[None]:
    """Renew `grant` while the block runs; cancel the block a margin before its lease ends otherwise.

    Raises:
        HoldAborted: the lease could not be renewed and the block was cut short.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(grant.safe_until_s) as limit:
            renewing: asyncio.Task[None] | None = None

            def start() -> None:
                nonlocal renewing
                renewing = asyncio.create_task(_keep_renewing(grant, renew, limit), name="lock-renewal")

            timer = loop.call_later(_renewal_pause_s(grant), start)  # short work never gets as far as that
            try:
                yield
            finally:
                timer.cancel()
                if renewing is not None:
                    renewing.cancel()
                    await asyncio.gather(renewing, return_exceptions=True)
    except TimeoutError:
        if not limit.expired():
            raise
        raise HoldAborted(
            "The lock's lease could not be renewed, so the work was cut short; whether it had an effect is unknown.",
            retry_after_s=1,
        ) from None


async def _keep_renewing(grant: Grant, renew: Renew, limit: asyncio.Timeout) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            grant = await renew(grant)
        except StoreUnavailable:
            await asyncio.sleep(RETRY_S)  # until `limit` strikes
            continue
        except LockLost:
            limit.reschedule(loop.time())
            return
        limit.reschedule(grant.safe_until_s)
        await asyncio.sleep(_renewal_pause_s(grant))


def _renewal_pause_s(grant: Grant) -> float:
    return grant.lease_ms / RENEWALS_PER_LEASE / 1000
