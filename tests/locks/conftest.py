"""Lock services as a replica has them: their loops run, and several may share the store."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from app.locks.service import LockService
from app.metrics import Metrics
from app.services.background import run_in_background
from app.store.store import open_store
from tests.support.servers import RealServer

OpenLocks = Callable[..., Awaitable[LockService]]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hand-over may stay unconfirmed for longer than any machine stands still.

    For tests of the order: who cannot confirm within a second is passed over, and stands at the old place again.
    """
    monkeypatch.setattr("app.locks.scripts.CONFIRM_MS", 30_000)


@pytest.fixture
async def open_locks(server: RealServer) -> AsyncIterator[OpenLocks]:
    """Open the lock service of one more replica."""
    async with AsyncExitStack() as stack:
        count = 0

        async def open_one(
            url: str = server.url, *, listen: bool = True, note: bool = True, max_waiters: int = 1000
        ) -> LockService:
            nonlocal count
            count += 1
            metrics = Metrics()
            store = await open_store(stack, url, metrics)
            locks = LockService(store, metrics, f"replica{count}", keep_ms=600_000, max_waiters=max_waiters)
            if listen:
                run_in_background(stack, "lock-channel", locks.listen)
            if note:
                run_in_background(stack, "lock-list", locks.note_held)
            stack.push_async_callback(locks.aclose)
            return locks

        yield open_one


@pytest.fixture
async def locks(open_locks: OpenLocks) -> LockService:
    """The lock service of one replica."""
    return await open_locks()
