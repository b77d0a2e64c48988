"""arq: one worker, 100 jobs at once, results not kept; enqueued 100 at a time."""

import asyncio
import json
import logging
import sys
import time

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker

logging.disable(logging.CRITICAL)
finished = 0
last = 0.0


async def noop(ctx: object, n: int) -> int:
    global finished, last
    finished += 1
    last = time.perf_counter()
    return n


async def main(url: str, count: int) -> None:
    settings = RedisSettings.from_dsn(url)
    pool = await create_pool(settings)
    started = time.perf_counter()
    for first in range(0, count, 100):
        await asyncio.gather(*(pool.enqueue_job("noop", n) for n in range(first, min(first + 100, count))))
    enqueued = time.perf_counter()
    worker = Worker(
        [noop],
        redis_settings=settings,
        burst=True,
        max_jobs=100,
        poll_delay=0.005,
        keep_result=0,
        handle_signals=False,
        queue_read_limit=500,
    )
    await worker.main()
    assert finished == count, finished
    print(json.dumps({"enqueue_s": enqueued - started, "work_s": last - enqueued}))
    await worker.close()
    await pool.aclose()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
