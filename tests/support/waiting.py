"""Waiting for something to become true, instead of sleeping and hoping."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

SLACK_S = 3.0
"""What a busy machine may add to a promised time before a test calls it broken."""


async def eventually(check: Callable[[], Awaitable[T] | T], *, within_s: float = 10.0, every_s: float = 0.02) -> T:
    """The first truthy result of `check`; its last exception, or an AssertionError, when time runs out."""
    deadline = time.monotonic() + within_s
    while True:
        failure: Exception | None = None
        try:
            result = check()
            if isinstance(result, Awaitable):
                result = await result
            if result:
                return result
        except Exception as error:
            failure = error
        if time.monotonic() > deadline:
            raise failure or AssertionError(f"not true within {within_s} s")
        await asyncio.sleep(every_s)
