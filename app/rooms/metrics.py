"""The rooms' figures, read from the snapshots when Prometheus asks."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.clock import Clock
from app.rooms.rooms import Rooms


class RoomsCollector(Collector):
    """Gauges and counters of every room, as this replica last saw it."""

    def __init__(self, rooms: Rooms, clock: Clock) -> None:
        self._rooms = rooms
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        gauges = {
            "last": GaugeMetricFamily("stanchion_room_last_position", "Last position given out.", labels=("room",)),
            "edge": GaugeMetricFamily(
                "stanchion_room_edge_position", "Last position whose turn has come.", labels=("room",)
            ),
            "waiting": GaugeMetricFamily(
                "stanchion_room_waiting", "Visitors waiting for their turn.", labels=("room",)
            ),
            "turns": GaugeMetricFamily(
                "stanchion_room_turns", "Open turns, where they are counted one by one.", labels=("room",)
            ),
            "sessions": GaugeMetricFamily("stanchion_room_sessions", "Live sessions.", labels=("room",)),
            "paused": GaugeMetricFamily("stanchion_room_paused", "1 while the room is paused.", labels=("room",)),
            "closed": GaugeMetricFamily("stanchion_room_closed", "1 while the room is closed.", labels=("room",)),
            "healing": GaugeMetricFamily("stanchion_room_healing", "1 while joins are held to heal.", labels=("room",)),
        }
        stale = GaugeMetricFamily(
            "stanchion_room_stale", "1 while answers come from memory because the store is away.", labels=("room",)
        )
        heals = CounterMetricFamily("stanchion_room_heals", "How often the room has healed.", labels=("room",))
        gaps = CounterMetricFamily(
            "stanchion_room_gap_positions",
            "Positions left out by healing, which the edge passes for free.",
            labels=("room",),
        )
        for room in self._rooms.all():
            stale.add_metric((room.name,), room.stale)
            if room.snapshot is None:
                continue
            for name, gauge in gauges.items():
                gauge.add_metric((room.name,), getattr(room.snapshot, name))
            heals.add_metric((room.name,), room.snapshot.heals)
            gaps.add_metric((room.name,), room.snapshot.gap_total)
        yield GaugeMetricFamily(
            "stanchion_clock_off_seconds",
            "How far the store's clock is ahead of this machine's, where they are too far apart; else 0.",
            self._clock.store_ahead_s,
        )
        yield from gauges.values()
        yield stale
        yield heals
        yield gaps
