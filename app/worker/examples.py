"""Example handlers: e-mails, images and reports, with simulated work that fails now and then.

Write your own like them, in a module of yours.
"""

import asyncio
import random
import time

from app.worker.handlers import Handlers, Task

work = Handlers()

FAILURE_RATE = 0.2


def _work_s() -> float:
    return 1 + random.random() * 2


def _maybe_fail() -> None:
    if random.random() < FAILURE_RATE:
        raise RuntimeError("Random processing error")


@work.handles("email", time_limit_s=30)
async def send_email(task: Task) -> dict[str, object]:
    """An async handler: many at once in one thread."""
    await asyncio.sleep(_work_s())
    _maybe_fail()
    return {"sent": True, "to": task.payload.get("to")}


@work.handles("image", time_limit_s=60)
def process_image(task: Task) -> dict[str, object]:
    """A sync handler: runs in a thread of its own."""
    time.sleep(_work_s())
    _maybe_fail()
    return {"processed": True, "url": task.payload.get("url")}


@work.handles("report", time_limit_s=60)
def make_report(task: Task) -> dict[str, object]:
    """Another one."""
    time.sleep(_work_s())
    _maybe_fail()
    return {"generated": True, "format": "pdf"}


@work.handles("*", time_limit_s=60)
async def anything_else(task: Task) -> dict[str, object]:
    """What no other handler takes."""
    await asyncio.sleep(_work_s())
    _maybe_fail()
    return {"result": "processed"}
