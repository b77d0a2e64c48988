"""All rooms of this replica, and the loop that keeps their snapshots fresh in one round trip."""

from collections.abc import Mapping
from pathlib import Path

from app.clock import Clock
from app.errors import NotFound, StoreUnavailable
from app.logs import get_logger
from app.rooms.replies import Reply, check
from app.rooms.room import Room
from app.rooms.settings import RoomSettings
from app.store import Store, keys, load_scripts

log = get_logger(__name__)

SCRIPTS = load_scripts(Path(__file__).parent / "lua")


class Rooms:
    """The rooms, by name."""

    def __init__(self, declared: Mapping[str, RoomSettings], store: Store, clock: Clock, refresh_s: float) -> None:
        self._store = store
        self.refresh_ms = round(refresh_s * 1000)
        heal_ms = 2 * self.refresh_ms
        self._rooms = {
            name: Room(name, settings, store, SCRIPTS, clock, heal_ms) for name, settings in declared.items()
        }
        self._declared: set[str] = set()

    def get(self, name: str) -> Room:
        """A room by name.

        Raises:
            NotFound: there is none.
        """
        room = self._rooms.get(name)
        if room is None:
            raise NotFound(f"There is no room named {name!r}.")
        return room

    def all(self) -> list[Room]:
        """Every room."""
        return list(self._rooms.values())

    @property
    def ready(self) -> bool:
        """Whether every room has been seen at least once."""
        return all(room.snapshot is not None for room in self._rooms.values())

    async def refresh(self, *, leading: bool, replica_id: str, live_replicas: int) -> None:
        """Bring every room's snapshot up to date; the leader ticks, the others tick only what is overdue.

        Raises:
            StoreUnavailable: the store did not answer; the snapshots are marked stale.
        """
        try:
            await self._declare()
            await self._look(leading)
            await self._report(replica_id, live_replicas)
        except StoreUnavailable:
            for room in self._rooms.values():
                room.stale = True
            raise

    def next_due_s(self) -> float:
        """Seconds until some room's edge moves, for whoever ticks; at most a refresh period."""
        due = [room.snapshot.due_in_ms() for room in self._rooms.values() if room.snapshot is not None]
        return min([self.refresh_ms, *(ms for ms in due if ms is not None)]) / 1000

    async def control(self, name: str, verb: str, *, expected_epoch: int = 0) -> int:
        """Carry out an operator's verb: pause, resume, close, open, or reset (when the epoch is as expected).

        Returns:
            The room's epoch.

        Raises:
            NotFound: there is no such room.
            Conflict: the epoch is another one; 0 expects any.
            StoreUnavailable: the outcome is unknown; doing it again is harmless.
        """
        room = self.get(name)
        reply = await self._store.run(
            SCRIPTS["control"],
            {"state": keys.room_state(room.name), "windows": keys.room_windows(room.name)},
            {"verb": verb, "expected_epoch": expected_epoch},
        )
        epoch: int = check(name, reply)[1]
        return epoch

    async def configure(self, name: str, settings: RoomSettings, *, expected_version: int) -> int:
        """Replace a room's settings, when nobody else has changed them since `expected_version`.

        Returns:
            The new version.

        Raises:
            NotFound: there is no such room.
            Conflict: the settings have another version by now.
            StoreUnavailable: the outcome is unknown; look, then repeat.
        """
        room = self.get(name)
        reply = await self._store.run(
            SCRIPTS["configure"],
            {"state": keys.room_state(room.name), "windows": keys.room_windows(room.name)},
            {
                "expected_version": expected_version,
                "settings": settings.as_json(),
                "size": settings.window_size,
                "interval_ms": settings.interval_ms,
                "active_ms": settings.active_ms,
            },
        )
        version: int = check(name, reply)[1]
        return version

    async def _declare(self) -> None:
        undeclared = [room for room in self._rooms.values() if room.name not in self._declared]
        for room, reply in zip(
            undeclared,
            await self._store.run_many([room.declaration() for room in undeclared], purpose="background"),
            strict=True,
        ):
            if isinstance(reply, Exception):
                raise reply
            self._declared.add(room.name)
            if reply[1] > 0:
                log.info("room_declared", room=room.name, made=reply[1] == 2)

    async def _look(self, leading: bool) -> None:
        rooms = self.all()
        calls = [room.look(tick=self._should_tick(room, leading)) for room in rooms]
        replies = await self._store.run_many(calls, purpose="background")
        failure: Exception | None = None
        for room, reply in zip(rooms, replies, strict=True):
            if isinstance(reply, Exception):
                failure = reply  # the others' news is taken in all the same: their node may be well
            elif reply[0] == Reply.NO_SUCH_ROOM:
                log.warning("room_lost_by_the_store", room=room.name)
                self._declared.discard(room.name)
            else:
                room.take(reply)
        if failure is not None:
            raise failure

    def _should_tick(self, room: Room, leading: bool) -> bool:
        known = room.snapshot
        return known is None or (not known.quiet and (leading or known.overdue(self.refresh_ms))) or room.stale

    async def _report(self, replica_id: str, live_replicas: int) -> None:
        reports = [
            (room, call) for room in self.all() if (call := room.pending_report(replica_id, live_replicas)) is not None
        ]
        replies = await self._store.run_many([call for _, call in reports], purpose="background")
        for (room, _), reply in zip(reports, replies, strict=True):
            if isinstance(reply, Exception):
                raise reply
            room.report_done()
            if reply[0] == Reply.OK and reply[1]:
                log.warning("room_brought_back", room=room.name)
