"""Putting the locks together: their service, its loops, and the upstream that works under them."""

from contextlib import AsyncExitStack

from app.locks.service import LockService
from app.locks.upstream import Upstream
from app.metrics import Metrics
from app.services.background import run_in_background
from app.settings import Settings
from app.store import Store

KEEP_MARGIN_MS = 60_000


def open_locks(
    stack: AsyncExitStack, settings: Settings, store: Store, metrics: Metrics, replica_id: str
) -> LockService:
    """The lock service of a replica; at the end, releases under way are finished before the store closes."""
    longest_s = settings.lock_max_lease + settings.lock_max_wait + settings.lock_lease + settings.lock_wait
    keep_ms = int(longest_s * 1000) + KEEP_MARGIN_MS
    locks = LockService(store, metrics, replica_id, keep_ms=keep_ms, max_waiters=settings.lock_max_waiters)
    run_in_background(stack, "lock-channel", locks.listen)
    run_in_background(stack, "lock-list", locks.note_held)
    stack.push_async_callback(locks.aclose)
    return locks


def open_upstream(stack: AsyncExitStack, settings: Settings) -> Upstream | None:
    """Where the work under a lock is done, or None when it is to be simulated."""
    if settings.lock_upstream_url is None:
        return None
    upstream = Upstream(settings.lock_upstream_url, settings.lock_upstream_timeout)
    stack.push_async_callback(upstream.aclose)
    return upstream
