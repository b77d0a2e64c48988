"""rq: one SimpleWorker (no fork for each job: its fastest), results not kept; enqueued 100 at a time."""

import json
import logging
import sys
import time

from redis import Redis
from rq import Queue, SimpleWorker

logging.disable(logging.CRITICAL)


def main(url: str, count: int) -> None:
    connection = Redis.from_url(url)
    queue = Queue(connection=connection)
    started = time.perf_counter()
    for first in range(0, count, 100):
        queue.enqueue_many(
            [Queue.prepare_data("operator.neg", args=(n,), result_ttl=0) for n in range(first, min(first + 100, count))]
        )
    enqueued = time.perf_counter()
    SimpleWorker([queue], connection=connection).work(burst=True, logging_level="CRITICAL")
    done = time.perf_counter()
    assert queue.count == 0
    print(json.dumps({"enqueue_s": enqueued - started, "work_s": done - enqueued}))


main(sys.argv[1], int(sys.argv[2]))
