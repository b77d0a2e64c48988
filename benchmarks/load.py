"""Load from wrk, and what one burst of it cost the processes under test."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.processes import Running

CONNECTIONS = 32
_SCRIPT = Path(__file__).parent / "requests.lua"


class NoLoadMaker(Exception):
    """wrk, which makes the load, is not installed; on Debian and Ubuntu: sudo apt-get install wrk."""


@dataclass(frozen=True)
class Burst:
    """What one run of wrk saw, and the CPU time that the processes under test used meanwhile."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Microseconds of CPU per request, all processes under test together."""


def burst(
    url: str,
    under_test: Sequence[Running],
    *,
    method: str = "GET",
    tokens: Path | None = None,
    carrier: tuple[str, str] = ("Authorization", "Bearer "),
    headers: Mapping[str, str] | None = None,
    seconds: int = 2,
    connections: int = CONNECTIONS,
) -> Burst:
    """Send requests over 32 connections, or as many as told, from one thread, each as soon as the last on its connection is answered.

    Args:
        tokens: a file with one token a line, sent in turn.
        carrier: the header that carries them, and what stands before the token there.
        headers: what every request has besides.

    Raises:
        NoLoadMaker: wrk is not installed.
        RuntimeError: a request failed, so that the figures would mean nothing.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise NoLoadMaker(NoLoadMaker.__doc__)
    fixed = [word for name, value in (headers or {}).items() for word in ("-H", f"{name}: {value}")]
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(_SCRIPT), *fixed, url, "--", method]
    before_s = sum(process.cpu_s() for process in under_test)
    run = subprocess.run(
        [*command, *([str(tokens), *carrier] if tokens else [])],
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        check=True,
    )
    cpu_s = sum(process.cpu_s() for process in under_test) - before_s
    seen = json.loads(run.stdout.partition("\nFIGURES ")[2])
    if seen.pop("errors") or not seen["requests"]:
        raise RuntimeError(f"{method} {url} failed under load:\n{run.stdout}")
    return Burst(**seen, cpu_us=cpu_s / seen["requests"] * 1e6)


def medians(bursts: Sequence[Burst]) -> dict[str, float]:
    """The medians of some bursts' figures."""
    return {
        "requests_per_s": round(median(item.requests / item.seconds for item in bursts)),
        "cpu_us_per_request": round(median(item.cpu_us for item in bursts), 1),
        "p50_ms": round(median(item.p50_ms for item in bursts), 2),
        "p99_ms": round(median(item.p99_ms for item in bursts), 2),
    }
