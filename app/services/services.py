"""What a replica is made of. `open_services` is the only place that builds it."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from app.clock import Clock, SystemClock
from app.locks.service import LockService
from app.locks.upstream import Upstream
from app.metrics import Metrics
from app.services.background import run_in_background
from app.settings import Settings
from app.store import Store
from app.store.store import open_store


@dataclass
class Services:
    """One replica's parts, as the web layer gets them."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    store: Store
    replica_id: str
    """A random name of this process, for owner tokens and reports."""
    locks: LockService
    upstream: Upstream | None
    """Where the work under a lock is done; None: it is simulated."""
    draining: bool = False
    """Set when the replica is about to stop: `/readyz` fails, so that load balancers look elsewhere."""

    @property
    def has_snapshot(self) -> bool:
        return True

    @property
    def store_is_up(self) -> bool:
        return True


@asynccontextmanager
async def open_services(
    settings: Settings, *, clock: Clock | None = None, fragments: Mapping[str, str] | None = None
) -> AsyncIterator[Services]:
    """Build a replica's services, run their background loops, and close everything at the end.

    The store need not be up yet. Tests hand in a `clock`, or script `fragments` such as their own `now`.

    Raises:
        ConfigError: the store's address cannot be used.
    """
    if settings.store_url is None:
        raise ValueError("settings without a store URL: start the embedded server first and pass its address")
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        store = await open_store(stack, settings.store_url, metrics, fragments)
        replica_id = secrets.token_hex(6)
        yield Services(
            settings=settings,
            clock=clock or SystemClock(),
            metrics=metrics,
            store=store,
            replica_id=replica_id,
            locks=_open_locks(stack, settings, store, metrics, replica_id),
            upstream=_open_upstream(stack, settings),
        )


def _open_locks(
    stack: AsyncExitStack, settings: Settings, store: Store, metrics: Metrics, replica_id: str
) -> LockService:
    longest_s = settings.lock_max_lease + settings.lock_max_wait + settings.lock_lease + settings.lock_wait
    locks = LockService(
        store, metrics, replica_id, keep_ms=int(longest_s * 1000) + 60_000, max_waiters=settings.lock_max_waiters
    )
    run_in_background(stack, "lock-channel", locks.listen)
    run_in_background(stack, "lock-list", locks.note_held)
    stack.push_async_callback(locks.aclose)
    return locks


def _open_upstream(stack: AsyncExitStack, settings: Settings) -> Upstream | None:
    if settings.lock_upstream_url is None:
        return None
    upstream = Upstream(settings.lock_upstream_url, settings.lock_upstream_timeout)
    stack.push_async_callback(upstream.aclose)
    return upstream
