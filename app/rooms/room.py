"""One room on this replica: its snapshot, its joins, and what it has to report when the store forgets."""

from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from app.clock import Clock
from app.errors import StateUnreadable
from app.logs import get_logger
from app.rooms.bars import Bars
from app.rooms.estimate import PaceKeeper, Wait, wait_by_batches, wait_by_pace, wait_until_open, wait_without_pace
from app.rooms.gatherer import NOBODY, Guest, JoinGatherer, Place
from app.rooms.marks import Mark, Marks, visit_standing
from app.rooms.proven import ProvenSessions
from app.rooms.sessions import Sessions
from app.rooms.settings import IdentityRule, Method, RoomSettings, problems_in
from app.rooms.snapshot import Snapshot, merge, parse_look
from app.rooms.window import Standing, estimated_wait_ms
from app.store import Call, Script, Store, keys

log = get_logger(__name__)

LATE_MS = 250
"""What the leader has left undone for this long, any replica does."""
MAX_SIGHTINGS = 500
_NO_IDENTITY = IdentityRule.OFF  # each join asks, and Python 3.11 is slow to find a member in its class
MAX_TOLD = 500


class Room:
    """What the hot paths read, and what the refresh loop writes."""

    def __init__(
        self,
        name: str,
        declared: RoomSettings | None,
        store: Store,
        scripts: dict[str, Script],
        clock: Clock,
        heal_ms: int,
    ) -> None:
        self.name = name
        self.name_bytes = name.encode()
        self.declared = declared
        """What the environment or the rooms file says; None for a room made while running."""
        self.settings = declared or RoomSettings()
        self._settings_version = 0
        self.snapshot: Snapshot | None = None
        self.marks = Marks()
        self.bars = Bars(name, store, scripts)
        self._pace = PaceKeeper()
        self.polls = 0
        """How often visitors have asked this replica for their place."""
        self.stale = True
        """Whether the last refresh failed: answers come from memory, and the room's clock stands still."""
        self.unreadable = False
        """Whether the last refresh failed because the store holds something else there."""
        self._clock = clock
        self._heard_s = clock.monotonic_s()
        self.keys = keys.room_keys(name)
        self._look_keys = {**self.keys, "barred": keys.room_barred(name)}
        self.heal_ms = heal_ms
        self._scripts = scripts
        self._highest = (0, 0)
        self._edge_seen = (0, 0, 0)
        self._sightings: dict[int, int] = {}
        self._sending: dict[int, int] = {}
        self._must_report = False
        self._heal_seen_ms = 0
        self._healed_from_ms = 0
        self._reported_heal_ms = 0
        self._gatherer = JoinGatherer(name, store, scripts["join"], clock, heal_ms)
        self._gatherer.on_given = self.note_seen
        self._gatherer.on_edge = self._note_edge
        self._proven = ProvenSessions(scripts["register"], self.keys)
        self.sessions = Sessions(name, store, scripts, heal_ms)
        self.sessions.on_visit = self.note_visit
        self.sessions.on_barred = self.bars.note
        self.sessions.on_given = self.note_seen
        self.sessions.on_edge = self._note_edge

    def join(self, ticket_id: str, idempotency_key: str | None = None, guest: Guest = NOBODY) -> Awaitable[Place]:
        """Take the next position; see `JoinGatherer.join`."""
        return self._gatherer.join(ticket_id, idempotency_key, guest)

    @property
    def asks_joiners(self) -> bool:
        """Whether a join takes more than waiting: an identity, or an address that has not come too often."""
        return self.settings.joins_per_address is not None or self.settings.identity is not _NO_IDENTITY

    def unheard_ms(self) -> float:
        """For how long nothing has been heard of this room from the store."""
        return 1000 * (self._clock.monotonic_s() - self._heard_s)

    def stand(self, snapshot: Snapshot, epoch: int, position: int, active_until_run_ms: int) -> Standing:
        """Where a ticket stands, by the last look."""
        return visit_standing(snapshot, self.marks.get(position), epoch, position, active_until_run_ms)

    def note_seen(self, epoch: int, position: int) -> None:
        """Remember the highest position that was issued here or shown in a valid ticket."""
        if (epoch, position) > self._highest:
            self._highest = (epoch, position)

    @property
    def caught_up(self) -> bool:
        """Whether the last look brought all there is to know, so that no ended visit is taken for a live one."""
        return self.snapshot is not None and self.marks.complete

    def counts(self, epoch: int, position: int, issued_s: int, expires_s: int) -> bool:
        """Whether the session that a good pass names has not been ended, as far as is known here. Asks nobody.

        The caller has verified the pass: that it was signed at `issued_s` and runs until `expires_s` (Unix seconds).
        """
        snapshot = self.snapshot
        if snapshot is not None:
            if epoch < snapshot.epoch:
                return False
            if epoch == snapshot.epoch:
                mark = self.marks.get(position)
                if mark is None or mark.kind != "e":
                    if self.marks.ended(snapshot, position, issued_s):
                        return False
                    self._proven.note(position, expires_s)
        self.note_seen(epoch, position)
        return True

    def note_asked(self, epoch: int, position: int, told_s: float) -> None:
        """Remember that a visitor has asked for their place, and was told to ask again in `told_s` seconds."""
        if self.settings.pass_over and self.snapshot is not None and epoch == self.snapshot.epoch:
            self._sightings[position] = round(told_s * 1000)

    def wait(self, snapshot: Snapshot, ahead: int) -> Wait:
        """How long whoever has `ahead` places before them may have to wait."""
        if not snapshot.opened:
            return wait_until_open(snapshot, self.opens_in_s(snapshot) * 1000, ahead, self.settings)
        if not snapshot.counted:
            return wait_by_batches(estimated_wait_ms(snapshot, ahead))
        if self._pace.pace is not None:
            return wait_by_pace(self._pace.pace, ahead)
        return wait_without_pace(snapshot, ahead, self.settings.rate_per_minute, self.settings.max_active)

    def wait_of_newcomer(self) -> Wait | None:
        """What whoever joins now may expect; None while nobody can tell: before the first look, and while it stands still."""
        seen, limit = self.snapshot, self.settings.max_active
        if seen is None or seen.paused or seen.healing or self.settings.method is Method.REJECT:
            return None
        free = seen.last < seen.edge if not seen.counted else limit is None or seen.turns + seen.sessions < limit
        if seen.opened and seen.waiting == 0 and (free or self.settings.method is Method.PASSTHROUGH):
            return Wait(0.0, 0.0, 0.0)
        return self.wait(seen, seen.waiting)

    def opens_in_s(self, snapshot: Snapshot) -> float:
        """Seconds until the room opens by itself; 0 when it is open."""
        opens_at_ms = self.opens_at_ms(snapshot)
        return 0.0 if opens_at_ms is None else max(0.0, (opens_at_ms - snapshot.now_ms) / 1000)

    def opens_at_ms(self, snapshot: Snapshot) -> int | None:
        """When the room opens by itself, in milliseconds since 1970; None when it is open."""
        if snapshot.opened or self.settings.opens_at is None:
            return None
        return round(self.settings.opens_at.timestamp() * 1000)

    def note_visit(self, epoch: int, position: int, seq: int, kind: str) -> None:
        """Remember what this replica itself has just done to a visit, ahead of the next look."""
        self.marks.note(epoch, position, Mark(seq, kind, 0))

    def _note_edge(self, epoch: int, edge: int, until_run_ms: int) -> None:
        if self.snapshot is not None and self.snapshot.counted and (epoch, edge) > self._edge_seen[:2]:
            self._edge_seen = (epoch, edge, until_run_ms)

    def look(self, *, tick: bool, leading: bool, run_id: bytes = b"") -> Call:
        """The script call that refreshes this room: `tick` also does what is due, the leader at once.

        Args:
            run_id: the server process, when it has just been asked for; else the script asks.
        """
        self._asked_highest = self._highest
        self._proven.look_begins()
        known = self.snapshot
        args: dict[str, Any] = {
            "known_settings_version": known.settings_version if known else 0,
            "known_edge": known.window_edges[-1] if known and known.window_edges else 0,
            "known_log": self.marks.log_cursor,
            "known_done": self.marks.done_cursor,
            "known_bar": self.bars.cursor_ms,
        }
        counted = known is not None and known.counted == 1
        if tick or counted:
            args["heal_ms"] = self.heal_ms
            args["late_ms"] = -1 if leading or not counted else LATE_MS
            args["run_id"] = run_id
        return Call(self._scripts["tick" if tick or counted else "observe"], self._look_keys, args)

    def missed(self, error: Exception) -> None:
        """A look has failed: what is known is not up to date."""
        self.stale, self.unreadable = True, isinstance(error, StateUnreadable)

    def take(self, reply: list[Any]) -> None:
        """Merge what a look brought back."""
        look = parse_look(self.name, reply)
        self._heard_s = self._clock.monotonic_s()
        seen = look.snapshot
        self.snapshot, behind = merge(self.snapshot, seen, self._asked_highest)
        self._pace.note(self.snapshot)
        if seen.epoch > self.marks.epoch:
            self._proven.forget()
            self._sightings.clear()
        self.marks.take(seen, look.log, look.done)
        self.bars.take(look.bars, seen.now_ms)
        if not seen.healing and seen.heal_from_ms != self._healed_from_ms:
            self._healed_from_ms = seen.heal_from_ms
            self.marks.read_anew()
            self.bars.read_anew()
        self._proven.look_came(self.marks)
        if look.settings and seen.settings_version >= self.snapshot.settings_version:
            self._take_settings(look.settings, seen.settings_version)
        healing_unreported = seen.healing and seen.heal_from_ms != self._reported_heal_ms
        self._must_report = behind or healing_unreported
        self._heal_seen_ms = seen.heal_from_ms
        self.stale = self.unreadable = False

    def _take_settings(self, text: str, version: int) -> None:
        try:
            self.settings = RoomSettings.model_validate_json(text)
        except ValidationError as error:
            # During an upgrade a newer replica may have written what this one does not know; the scripts go by their own.
            log.error("settings_not_understood", room=self.name, problems=problems_in(error))
        else:
            self._settings_version = version

    def sightings(self) -> list[Call]:
        """The script calls that write down who has asked since the last time."""
        self._sending, self._sightings = self._sightings, {}
        if self.snapshot is None:
            return []
        pairs = list(self._sending.items())
        return [
            Call(
                self._scripts["seen"],
                self.keys,
                {
                    "epoch": self.snapshot.epoch,
                    "sightings": [item for pair in pairs[i : i + MAX_SIGHTINGS] for item in pair],
                },
            )
            for i in range(0, len(pairs), MAX_SIGHTINGS)
        ]

    def keep_sightings(self) -> None:
        """What was to be written down did not arrive: it is due again."""
        self._sightings = {**self._sending, **self._sightings}

    def pending_report(self, replica_id: str, live_replicas: int) -> list[Call]:
        """The report that the last look called for, if any: first visits and bars, then where the line stands."""
        if self.snapshot is None:
            return []
        if not self._must_report:
            return self._proven.calls(self.snapshot.epoch)
        known = self.snapshot
        epoch, last = max(self._highest, (known.epoch, known.last))
        windows = [f"{edge}:{until}" for edge, until in known.windows]
        if epoch > known.epoch:  # only tickets of a later epoch were seen, not its edge
            known, windows = replace(known, edge=0, floor=0, gaps=(), windows=(), window_edges=()), []
        seen_epoch, seen_edge, until_run_ms = self._edge_seen
        if seen_epoch == epoch and seen_edge > known.edge:
            # A batch may have begun since the last look, so late as the newest turns did.
            run_ms = until_run_ms - known.active_ms
            known = replace(
                known,
                edge=seen_edge,
                expires_run_ms=max(known.expires_run_ms, until_run_ms),
                run_ms=max(known.run_ms, run_ms),
                moved_run_ms=max(known.moved_run_ms, run_ms),
            )
            windows.append(f"{seen_edge}:{until_run_ms}")
        visits = self.marks.told(known) if self.marks.epoch == epoch else []
        restores = [
            Call(self._scripts["restore"], self.keys, {"epoch": epoch, "visits": visits[i : i + MAX_TOLD]})
            for i in range(0, len(visits), MAX_TOLD)
        ]
        report = {
            "heal_ms": self.heal_ms,
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
            "settings_version": self._settings_version,
            **self.settings.script_args(),
            "remember_ms": known.remember_ms,
            "forgotten_ms": known.forgotten_ms,
            "gaps": ",".join(f"{after}:{to}" for after, to in known.gaps),
            "windows": windows,
        }
        told = [*restores, *self.bars.told(), *self._proven.calls(epoch)]
        return [*told, Call(self._scripts["report"], self.keys, report)]

    def proven_told(self) -> None:
        """The store knows of the sessions that passes proved."""
        self._proven.told()

    def report_done(self) -> None:
        """The report has arrived; do not repeat it for the same healing."""
        self._must_report = False
        self._reported_heal_ms = self._heal_seen_ms

    def declaration(self) -> Call:
        """The script call that makes the room, or applies declared settings that changed."""
        settings = self.declared or self.settings
        return Call(
            self._scripts["declare"],
            self.keys,
            {
                "seed": self.declared.digest() if self.declared else "",
                "epoch": self.snapshot.epoch if self.snapshot else 1,
                "heal_ms": self.heal_ms,
                **settings.script_args(),
            },
        )
