"""Who counts as alive among those who stand in line, on a clock that the test moves."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from app.errors import LockLost
from app.locks.model import Status, Wanted
from app.locks.scripts import ALIVE_MS, CONFIRM_MS, LockScripts
from app.metrics import Metrics
from app.store.store import open_store
from tests.support.servers import RealServer
from tests.tasks.looking import FAKE_NOW, set_now

HELD = Wanted("x", 3_600_000)
IN_LINE = Wanted("x", 3_600_000, 3_600_000)
Pass = Callable[[int], None]


@pytest.fixture
def passes(server: RealServer) -> Pass:
    """Lets so many milliseconds pass."""
    now_ms = 1_700_000_000_000

    def let_pass(ms: int) -> None:
        nonlocal now_ms
        now_ms += ms
        with server.client() as client:
            set_now(client, now_ms)

    let_pass(0)
    return let_pass


@pytest.fixture
async def replicas(server: RealServer, passes: Pass) -> AsyncIterator[tuple[LockScripts, LockScripts]]:
    """Two replicas, of which the first holds the lock; one waiter of the other's and one of its own stand in line."""
    async with AsyncExitStack() as stack:
        store = await open_store(stack, server.url, Metrics(), {"now": FAKE_NOW})
        here, there = (LockScripts(store, Metrics(), name, 600_000, 1000) for name in ("here", "there"))
        assert (await here.acquire(HELD, "holder", wait_ms=0)).status is Status.GRANTED
        await there.acquire(IN_LINE, "first", wait_ms=IN_LINE.wait_ms)
        await here.acquire(IN_LINE, "second", wait_ms=IN_LINE.wait_ms)
        yield here, there


async def has_it(replica: LockScripts, token: str) -> bool:
    """Whether the lock was handed over to this waiter, who confirms it."""
    try:
        return (await replica.renew("x", token, 3_600_000)).status is Status.GRANTED
    except LockLost:
        return False


async def test_a_replica_that_is_silent_while_another_is_heard_is_passed_over(
    replicas: tuple[LockScripts, LockScripts], passes: Pass
) -> None:
    here, there = replicas
    for _ in range(4):
        passes(ALIVE_MS // 3)
        await here.beat("x", ["second"])
    await here.release("x", "holder", remember=False)
    assert await has_it(here, "second")
    assert not await has_it(there, "first")


@pytest.mark.parametrize("heard_first", [True, False])
async def test_when_nobody_was_heard_the_first_who_is_takes_nobodys_place(
    replicas: tuple[LockScripts, LockScripts], passes: Pass, heard_first: bool
) -> None:
    """The store was away, for longer than silence is taken for death."""
    here, there = replicas
    passes(10 * ALIVE_MS)
    if heard_first:
        await here.beat("x", ["second"])
    await here.release("x", "holder", remember=False)
    assert await has_it(there, "first")


async def test_who_stays_silent_after_that_costs_a_second_and_is_passed_over(
    replicas: tuple[LockScripts, LockScripts], passes: Pass
) -> None:
    here, there = replicas
    await there.acquire(IN_LINE, "third", wait_ms=IN_LINE.wait_ms)
    passes(10 * ALIVE_MS)
    await here.release("x", "holder", remember=False)
    passes(CONFIRM_MS)
    await here.beat("x", ["second"])
    assert await has_it(here, "second")
    await here.release("x", "second", remember=False)
    assert not await has_it(there, "third"), "nor do the others of that replica get it"


async def test_whoever_is_not_heard_after_an_outage_is_dead_in_the_end(
    replicas: tuple[LockScripts, LockScripts], passes: Pass
) -> None:
    here, _ = replicas
    passes(10 * ALIVE_MS)
    for _ in range(4):
        await here.beat("x", ["second"])
        passes(ALIVE_MS // 3)
    await here.beat("x", ["second"])
    await here.release("x", "holder", remember=False)
    assert await has_it(here, "second")
