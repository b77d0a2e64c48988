"""The metrics of a replica, in one registry that belongs to it. `docs/metrics.md` lists them; a test holds the two together.

Hot paths count in plain integers (`HotCounters`), which a collector turns into Prometheus families at
scrape time: a prometheus-client observation costs more there than the rest of the request's bookkeeping.
"""

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
MAX_TYPES_RUN = 100
TASK_BUCKETS_S = (0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)

LOCK_WAIT_BUCKETS_S = (0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class HotSeries:
    """Requests of one hot route: a count for each status code and a latency histogram."""

    __slots__ = ("buckets", "by_status", "sum_s")

    def __init__(self) -> None:
        self.by_status: dict[int, int] = {}
        self.buckets = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self.sum_s = 0.0

    def observe(self, status: int, seconds: float) -> None:
        """Count one answered request."""
        self.by_status[status] = self.by_status.get(status, 0) + 1
        self.buckets[bisect_left(LATENCY_BUCKETS_S, seconds)] += 1
        self.sum_s += seconds


class HotCounters(Collector):
    """All hot routes' series, handed to Prometheus as it asks."""

    def __init__(self) -> None:
        self._series: dict[str, HotSeries] = {}

    def series(self, route: str) -> HotSeries:
        """The series of one route, made on first use."""
        return self._series.setdefault(route, HotSeries())

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "stanchion_hot_requests", "Requests to the hot routes.", labels=("route", "status")
        )
        latency = HistogramMetricFamily(
            "stanchion_hot_request_seconds", "Time a hot route took to answer.", labels=("route",)
        )
        for route, series in self._series.items():
            for status, count in series.by_status.items():
                requests.add_metric((route, str(status)), count)
            cumulative, buckets = 0, []
            for bound, count in zip((*LATENCY_BUCKETS_S, float("inf")), series.buckets, strict=True):
                cumulative += count
                buckets.append(("+Inf" if bound == float("inf") else str(bound), cumulative))
            latency.add_metric((route,), buckets, series.sum_s)
        yield requests
        yield latency


class GateTally(Collector):
    """How often the gates of a replica's rooms gave which answer."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}

    def count(self, room: str, answer: str) -> None:
        """Count one answer."""
        key = room, answer
        self._counts[key] = self._counts.get(key, 0) + 1

    def collect(self) -> Iterator[Metric]:
        answers = CounterMetricFamily(
            "stanchion_gate_answers",
            "Answers of the gate: pass, inline, bypass, open, or wait when it refused.",
            labels=("room", "answer"),
        )
        for key, count in self._counts.items():
            answers.add_metric(key, count)
        yield answers


class TaskMetrics:
    """The task queues, as this replica sees and serves them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, meaning: str) -> Counter:
            return Counter(f"stanchion_tasks_{name}_total", meaning, ("queue",), registry=registry)

        self.enqueued = counter("enqueued", "Tasks taken in by this replica.")
        self.attempts = counter("attempts", "Tasks handed out by this replica.")
        self.completed = counter("completed", "Tasks finished well through this replica.")
        self.failed = counter("failed", "Failures reported through this replica, final or not.")
        self.expired = counter("lease_expiries", "Leases that ran out, as reaped by this replica.")
        self.refused = counter("refused", "Calls about a task that came too late or with a wrong token.")
        self.wait_seconds = Histogram(
            "stanchion_task_wait_seconds",
            "From when a task could be handed out first until it was.",
            ("queue",),
            buckets=TASK_BUCKETS_S,
            registry=registry,
        )
        self.run_seconds = Histogram(
            "stanchion_task_run_seconds",
            "From when a task was handed out until its holder ended it: completed, failed (to be tried again) or dead.",
            ("queue", "type", "outcome"),
            buckets=TASK_BUCKETS_S,
            registry=registry,
        )
        self._types_run: set[tuple[str, str]] = set()
        self.depth = Gauge(
            "stanchion_tasks",
            "Tasks by state and type; every replica reports the same.",
            ("queue", "state", "type"),
            registry=registry,
        )
        self.oldest_wait = Gauge(
            "stanchion_task_oldest_wait_seconds",
            "For how long the first of the ready tasks has waited.",
            ("queue",),
            registry=registry,
        )

    def observe_run(self, queue: str, type_: str, outcome: str, seconds: float) -> None:
        """Note how long an attempt ran; of more types than can be told apart, the rest count as one."""
        if len(self._types_run) < MAX_TYPES_RUN:
            self._types_run.add((queue, type_))
        known = (queue, type_) in self._types_run
        labels = (queue, type_, outcome) if known else ("(others)", "(others)", outcome)
        self.run_seconds.labels(*labels).observe(max(0.0, seconds))

    def forget(self, queue: str) -> None:
        """Report nothing more of a queue that there is no more, so that queues which come and go do not add up."""
        self._types_run = {known for known in self._types_run if known[0] != queue}
        for metric in (
            self.enqueued,
            self.attempts,
            self.completed,
            self.failed,
            self.expired,
            self.refused,
            self.wait_seconds,
            self.run_seconds,
            self.depth,
            self.oldest_wait,
        ):
            metric.remove_by_labels({"queue": queue})


class Metrics:
    """Every metric of one replica."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.hot = HotCounters()
        self.gate = GateTally()
        self.registry.register(self.hot)
        self.registry.register(self.gate)
        registry = self.registry
        self.requests = Counter(
            "stanchion_http_requests_total",
            "Requests to all other routes.",
            ("method", "route", "status"),
            registry=registry,
        )
        self.request_seconds = Histogram(
            "stanchion_http_request_seconds", "Time the other routes took.", ("route",), registry=registry
        )
        self.round_trips = Counter(
            "stanchion_store_round_trips_total",
            "Round trips to the store, by what they were for.",
            ("purpose",),
            registry=registry,
        )
        self.store_errors = Counter(
            "stanchion_store_errors_total", "Round trips to the store that failed.", ("kind",), registry=registry
        )
        self.tasks = TaskMetrics(registry)
        self.store_up = Gauge("stanchion_store_up", "Whether the last refresh reached the store.", registry=registry)
        self.streams_open = Gauge("stanchion_streams_open", "Open streams of pushed updates.", registry=registry)
        self.stream_pushes = Counter(
            "stanchion_stream_pushes_total",
            "Room states that were pushed to all of a room's streams.",
            registry=registry,
        )
        self._add_locks()

    def _add_locks(self) -> None:
        registry = self.registry
        self.locks_held = Gauge(
            "stanchion_locks_held", "Locks held through this replica, as it last knew.", registry=registry
        )
        self.lock_waiters = Gauge(
            "stanchion_lock_waiters", "Requests that wait for a lock at this replica.", registry=registry
        )
        self.lock_wait_seconds = Histogram(
            "stanchion_lock_wait_seconds",
            "Time from asking for a lock to holding it.",
            buckets=LOCK_WAIT_BUCKETS_S,
            registry=registry,
        )
        self.lock_refusals = Counter(
            "stanchion_lock_refusals_total",
            "Requests that did not get the lock: held, wait_ran_out, line_full, other_limit, gone, store_away.",
            ("reason",),
            registry=registry,
        )
        self.lock_expiries = Counter(
            "stanchion_lock_expiries_total", "Leases that ran out while held, as noticed here.", registry=registry
        )
        self.lock_losses = Counter(
            "stanchion_lock_losses_total", "Work cut short because its lease could not be renewed.", registry=registry
        )

    def exposition(self) -> bytes:
        """The page that Prometheus reads."""
        return generate_latest(self.registry)
