"""Round trips to the store that requests made: by the service's own metric, checked against the server's count."""

import re
import time
from collections.abc import Callable
from typing import Any

from benchmarks.load import Burst
from benchmarks.processes import Running, RunningStore, fetch


def counted(service: Running, store: RunningStore, do: Callable[[], Burst]) -> tuple[Burst, float]:
    """A burst, and the round trips per 1,000 requests that it made: by our own metric, checked against the server's.

    The server counts the background's scripts as well, so its figure must be the higher one, by no more than those.
    """
    with store.client() as client:
        before, calls_before, background_before = (
            _trips(service, "request"),
            _evals(client),
            _trips(service, "background"),
        )
        started_s = time.monotonic()
        found = do()
        took_s = time.monotonic() - started_s
        trips, calls = _trips(service, "request") - before, _evals(client) - calls_before
        background = _trips(service, "background") - background_before
    # A background trip may carry two scripts or so; one trip may be under way on either side.
    if not trips <= calls <= trips + 4 * background + 4:
        raise RuntimeError(
            f"{trips} round trips by our metric, {calls} by the server's ({background} background, {took_s:.1f} s)"
        )
    return found, trips / found.requests * 1000


def _trips(service: Running, purpose: str) -> float:
    page = fetch(service.url + "/metrics").decode()
    found = re.search(rf'^stanchion_store_round_trips_total{{purpose="{purpose}"}} (\S+)$', page, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


def _evals(client: Any) -> int:
    stats = client.info("commandstats")
    return sum(stats.get(name, {}).get("calls", 0) for name in ("cmdstat_evalsha", "cmdstat_eval"))
