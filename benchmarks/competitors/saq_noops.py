"""saq: one worker, 100 jobs at once; enqueued 100 at a time."""

import asyncio
import json
import sys
import time

from saq import Queue, Worker

finished = 0
last = 0.0


async def noop(ctx: object, *, n: int) -> int:
    global finished, last
    finished += 1
    last = time.perf_counter()
    return n


async def main(url: str, count: int) -> None:
    queue = Queue.from_url(url)
    await queue.connect()
    started = time.perf_counter()
    for first in range(0, count, 100):
        await asyncio.gather(*(queue.enqueue("noop", n=n) for n in range(first, min(first + 100, count))))
    enqueued = time.perf_counter()
    worker = Worker(queue, [noop], concurrency=100, burst=True, dequeue_timeout=1)
    await worker.start()
    assert finished >= count, finished  # its sweep may do a job twice
    print(json.dumps({"enqueue_s": enqueued - started, "work_s": last - enqueued}))


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
