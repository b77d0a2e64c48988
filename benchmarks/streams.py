"""Pushed updates: what 5,000 open streams cost a replica, and how soon a moved edge reaches a reader.

The edge moves every second, the fastest that is pushed. Two processes read: a crowd that only empties its sockets,
and a sample of a few streams among them that notes when each state arrived, so that the cost of reading thousands
of streams in one process does not count as delay. The state carries the store's time of the move.
"""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from benchmarks.processes import Running, fetch, replica, store_server

STREAMS = 5000
SAMPLE = 50
SECONDS = 20
START_LIMIT_S = 60.0


def run(streams: int = STREAMS, seconds: int = SECONDS) -> dict[str, object]:
    """Open the streams on a real replica, let the edge move every second, and read."""
    moving = {"WINDOW_SIZE": "1", "WINDOW_INTERVAL": "1", "MAX_STREAMS": str(streams + SAMPLE)}
    with store_server() as store, replica(store, **moving) as served:
        for _ in range(3 * seconds + 30):
            _join(served)
        idle_cpu = _cpu_percent(served, 5)
        idle_bytes = served.memory_bytes()
        with _readers(served, SAMPLE) as sample, _readers(served, streams) as crowd:
            open_bytes = served.memory_bytes()
            cpu = _cpu_percent(served, seconds)
            delays_ms = _end(sample)["delays_ms"]
            crowd_cpu_s = _end(crowd)["cpu_s"]
    assert isinstance(delays_ms, list)
    assert isinstance(crowd_cpu_s, float)
    delays_ms.sort()
    cost_us = (cpu - idle_cpu) / 100 * 1e6 / (streams + SAMPLE)
    return {
        "streams": streams + SAMPLE,
        "memory per stream (KiB)": round((open_bytes - idle_bytes) / 1024 / (streams + SAMPLE), 1),
        "replica CPU without streams (% of a core)": round(idle_cpu, 1),
        "replica CPU, every stream written to every second (% of a core)": round(cpu, 1),
        "CPU per stream and push (µs)": round(cost_us, 1),
        "delay edge to reader p50 (ms)": round(median(delays_ms)),
        "delay edge to reader p99 (ms)": round(delays_ms[int(0.99 * (len(delays_ms) - 1))]),
        "delay edge to reader worst (ms)": round(delays_ms[-1]),
        "states read by the sample": len(delays_ms),
        "CPU of the crowd's reading process (s)": round(crowd_cpu_s, 2),
    }


def _join(served: Running) -> None:
    request = urllib.request.Request(served.url + "/join", method="POST")
    with urllib.request.urlopen(request, timeout=5) as answer:
        answer.read()


def _cpu_percent(served: Running, seconds: float) -> float:
    before_s, started_s = served.cpu_s(), time.monotonic()
    time.sleep(seconds)
    return 100 * (served.cpu_s() - before_s) / (time.monotonic() - started_s)


@contextmanager
def _readers(served: Running, count: int) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "benchmarks.stream_readers", str(served.port), str(count)]
    before = _open_streams(served)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        deadline_s = time.monotonic() + START_LIMIT_S
        while _open_streams(served) < before + count:
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"only {_open_streams(served) - before} of {count} streams were opened")
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait(5)


def _open_streams(served: Running) -> int:
    lines = fetch(served.url + "/metrics").decode().splitlines()
    return next(int(float(line.split()[1])) for line in lines if line.startswith("stanchion_streams_open "))


def _end(process: "subprocess.Popen[str]") -> dict[str, object]:
    """Tell the readers to stop, and take what they noted."""
    output, _ = process.communicate("stop\n", timeout=30)
    noted: dict[str, object] = json.loads(output)
    return noted
