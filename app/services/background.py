"""Background loops that outlive their errors and end with the service."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from app.errors import StoreUnavailable
from app.logs import get_logger

log = get_logger(__name__)

_RESTART_DELAY_S = 1.0


def run_in_background(stack: AsyncExitStack, name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run `loop` as a task until `stack` closes; log what it raises and start it again a second later."""

    async def keep_running() -> None:
        while True:
            try:
                await loop()
                return
            except StoreUnavailable:
                log.warning("loop_lost_the_store", loop=name)
            except Exception:
                log.exception("loop_failed", loop=name)
            await asyncio.sleep(_RESTART_DELAY_S)

    task = asyncio.create_task(keep_running(), name=name)

    async def stop() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(stop)
