"""What a replica is made of. `open_services` is the only place that builds it."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from app.clock import Clock, SystemClock
from app.metrics import Metrics
from app.services.background import run_in_background
from app.settings import Settings
from app.store import Store
from app.store.store import open_store
from app.tasks.service import TaskService, open_tasks


@dataclass
class Services:
    """One replica's parts, as the web layer gets them."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    store: Store
    replica_id: str
    """A random name of this process, for owner tokens and reports."""
    tasks: TaskService
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
        tasks = open_tasks(stack, store, settings, metrics.tasks, replica_id, lambda: services.draining)
        services = Services(
            settings=settings,
            clock=clock or SystemClock(),
            metrics=metrics,
            store=store,
            replica_id=replica_id,
            tasks=tasks,
        )
        run_in_background(stack, "task wake-ups", tasks.dispatcher.listen)
        run_in_background(stack, "task looks", tasks.dispatcher.look_now_and_then)
        run_in_background(stack, "task housekeeping", tasks.housekeeping.run)
        yield services
