"""Handlers that a worker process loads in tests."""

import asyncio
import os
import time
from pathlib import Path

from app.worker import GiveUp, Handlers, Task, TryLater

work = Handlers()


@work.handles("double")
async def double(task: Task) -> int:
    return int(task.payload) * 2


@work.handles("sync")
def sync(task: Task) -> str:
    time.sleep(0.01)
    return f"{task.id} by {os.getpid()}"


@work.handles("sleep", time_limit_s=0.3)
async def sleep(task: Task) -> None:
    await asyncio.sleep(task.payload)


@work.handles("long")
async def long(task: Task) -> str:
    await asyncio.sleep(task.payload)
    return "slept"


@work.handles("until")
async def until(task: Task) -> str:
    """As long as the test likes: until there is a file of this path."""
    while not Path(task.payload).exists():
        await asyncio.sleep(0.02)
    return "seen"


@work.handles("hopeless")
def hopeless(task: Task) -> None:
    raise GiveUp("never")


@work.handles("later")
def later(task: Task) -> str:
    if task.retries == 0:
        raise TryLater(0.05)
    return "done"


@work.handles("unspeakable")
def unspeakable(task: Task) -> object:
    return {"a": {1, 2}}


@work.handles("confused")
async def confused(task: Task) -> None:
    raise asyncio.CancelledError


@work.handles("broken")
def broken(task: Task) -> object:
    return "x" * 100_000
