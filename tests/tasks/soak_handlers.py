"""Handlers of the soak: they note every start, take a moment, fail for good, or take their worker with them."""

import asyncio
import os
import random
import signal
import time
from pathlib import Path

from app.worker import Handlers, Task

work = Handlers()


def note(task: Task) -> None:
    line = f"{task.id} {task.lease_token} {time.time_ns() // 1_000_000}\n".encode()
    log = os.open(Path(os.environ["SOAK_LOG"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(log, line)
    finally:
        os.close(log)


@work.handles("quick", "slow", "flaky")
async def quick(task: Task) -> dict[str, int]:
    note(task)
    await asyncio.sleep(random.uniform(0.2, 0.6) if task.type == "slow" else random.uniform(0, 0.03))
    if task.type == "flaky" and random.random() < 0.4:
        raise RuntimeError("now and then")
    return {"n": task.payload["n"]}


@work.handles("poison")
def poison(task: Task) -> None:
    note(task)
    raise ValueError("always")


@work.handles("crash")
def crash(task: Task) -> None:
    note(task)
    os.kill(os.getpid(), signal.SIGKILL)
