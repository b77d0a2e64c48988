"""One room on this replica: its snapshot, its joins, and what it has to report when the store forgets."""

from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

from app.clock import Clock
from app.rooms.gatherer import JoinGatherer, Place
from app.rooms.settings import RoomSettings
from app.rooms.snapshot import Snapshot, merge, parse_snapshot
from app.store import Call, Script, Store, keys


class Room:
    """What the hot paths read, and what the refresh loop writes."""

    def __init__(
        self, name: str, declared: RoomSettings, store: Store, scripts: dict[str, Script], clock: Clock, heal_ms: int
    ) -> None:
        self.name = name
        self.name_bytes = name.encode()
        self.declared = declared
        self.settings = declared
        self.snapshot: Snapshot | None = None
        self.stale = True
        """Whether the last refresh failed: answers come from memory, and the room's clock stands still."""
        self._scripts = scripts
        self._heal_ms = heal_ms
        self._highest = (0, 0)
        self._must_report = False
        self._reported_heal_ms = 0
        self._gatherer = JoinGatherer(name, store, scripts["join"], clock, heal_ms)
        self._gatherer.on_given = self.note_seen

    def join(self, ticket_id: str, idempotency_key: str | None = None) -> Awaitable[Place]:
        """Take the next position; see `JoinGatherer.join`."""
        return self._gatherer.join(ticket_id, idempotency_key)

    def note_seen(self, epoch: int, position: int) -> None:
        """Remember the highest position that was issued here or shown in a valid ticket."""
        if (epoch, position) > self._highest:
            self._highest = (epoch, position)

    def look(self, *, tick: bool) -> Call:
        """The script call that refreshes this room: `tick` also does what is due."""
        self._asked_highest = self._highest
        known = self.snapshot
        args: dict[str, Any] = {
            "known_settings_version": known.settings_version if known else 0,
            "known_edge": known.window_edges[-1] if known and known.window_edges else 0,
        }
        if tick:
            args["heal_ms"] = self._heal_ms
        return Call(self._scripts["tick" if tick else "observe"], self._keys(), args)

    def take(self, reply: list[Any]) -> None:
        """Merge what a look brought back."""
        seen, settings = parse_snapshot(self.name, reply)
        self.snapshot, behind = merge(self.snapshot, seen, self._asked_highest)
        if settings and seen.settings_version >= self.snapshot.settings_version:
            self.settings = RoomSettings.model_validate_json(settings)
        healing_unreported = seen.healing and seen.heal_from_ms != self._reported_heal_ms
        self._must_report = behind or healing_unreported
        self._heal_seen_ms = seen.heal_from_ms
        self.stale = False

    def pending_report(self, replica_id: str, live_replicas: int) -> Call | None:
        """The report that the last look called for, if any."""
        if not self._must_report or self.snapshot is None:
            return None
        known = self.snapshot
        epoch, last = max(self._highest, (known.epoch, known.last))
        if epoch > known.epoch:  # only tickets of a later epoch were seen, not its edge
            known = replace(known, edge=0, floor=0, windows=(), window_edges=())
        return Call(
            self._scripts["report"],
            self._keys(),
            {
                "heal_ms": self._heal_ms,
                "replica": replica_id,
                "live_replicas": live_replicas,
                "epoch": epoch,
                "last": last,
                "edge": known.edge,
                "floor": known.floor,
                "run_ms": known.run_ms,
                "moved_run_ms": known.moved_run_ms,
                "expires_run_ms": known.expires_run_ms,
                "peak": known.peak,
                "settings_version": known.settings_version,
                "settings": self.settings.as_json(),
                "size": self.settings.window_size,
                "interval_ms": self.settings.interval_ms,
                "active_ms": self.settings.active_ms,
                "windows": [f"{edge}:{until}" for edge, until in known.windows],
            },
        )

    def report_done(self) -> None:
        """The report has arrived; do not repeat it for the same healing."""
        self._must_report = False
        self._reported_heal_ms = self._heal_seen_ms

    def declaration(self) -> Call:
        """The script call that makes the room, or applies declared settings that changed."""
        declared = self.declared
        return Call(
            self._scripts["declare"],
            {"state": keys.room_state(self.name)},
            {
                "seed": declared.digest(),
                "settings": declared.as_json(),
                "size": declared.window_size,
                "interval_ms": declared.interval_ms,
                "active_ms": declared.active_ms,
                "heal_ms": self._heal_ms,
            },
        )

    def _keys(self) -> dict[str, str]:
        return {"state": keys.room_state(self.name), "windows": keys.room_windows(self.name)}
