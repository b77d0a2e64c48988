"""All rooms of this replica, and the loop that keeps their snapshots fresh in one round trip."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.clock import Clock
from app.errors import NotFound, StateUnreadable, StoreUnavailable
from app.logs import get_logger
from app.rooms.directory import Directory
from app.rooms.replies import Reply
from app.rooms.room import Room
from app.rooms.settings import RoomSettings
from app.store import Call, Store, keys, load_scripts

log = get_logger(__name__)

SCRIPTS = load_scripts(Path(__file__).parent / "lua")

MANY_ROOMS = 20
CALLS_AT_ONCE = 250
MOST_PAGES = 50
"""Further looks at once for what one look could not bring: a new replica has to learn of every visit."""
SHORTEST_TICK_S = 0.02
"""The leader comes for what is due at this pace at most: a fast rate's next turn is always due."""


class SomeRoomsAway(StoreUnavailable):
    """Some rooms could not be looked at, and are stale; the others are up to date."""


class Rooms:
    """The rooms, by name."""

    def __init__(self, declared: Mapping[str, RoomSettings], store: Store, clock: Clock, refresh_s: float) -> None:
        self._store = store
        self._clock = clock
        self.refresh_ms = round(refresh_s * 1000)
        self._rooms = {name: self._made(name, settings) for name, settings in declared.items()}
        self._declared: set[str] = set()
        self.directory = Directory(SCRIPTS)
        self.generation = 0
        """One more whenever a room has come or gone."""
        self._looked_all_s = float("-inf")

    def find(self, name: str) -> Room | None:
        """A room by name, if there is one."""
        return self._rooms.get(name)

    def get(self, name: str) -> Room:
        """A room by name.

        Raises:
            NotFound: there is none.
        """
        room = self.find(name)
        if room is None:
            raise NotFound(f"There is no room named {name!r}.")
        return room

    def all(self) -> list[Room]:
        """Every room."""
        return list(self._rooms.values())

    @property
    def ready(self) -> bool:
        """Whether every declared room has been seen, with all that is known of its visits.

        One that cannot be read keeps nobody from the others.
        """
        return all(room.caught_up or room.unreadable for room in self._rooms.values() if room.declared is not None)

    def declare(self, declared: Mapping[str, RoomSettings]) -> None:
        """Take over what the rooms file says now; rooms that it no longer names go on as they are."""
        for name, settings in declared.items():
            room = self._rooms.get(name)
            if room is None:
                if name in self.directory.gone():
                    continue
                self._rooms[name] = self._made(name, settings)
                self.generation += 1
            elif room.declared != settings:
                room.declared = settings
                self._declared.discard(name)

    async def refresh(self, *, leading: bool, replica_id: str, live_replicas: int) -> None:
        """Bring every room's snapshot up to date; the leader ticks, the others tick only what is overdue.

        Between two looks at everything, the leader looks at what is due.

        One room's trouble, such as a cluster's node that is away, is not the others'. Where the store holds what
        cannot be read, it is not away, but the room stands still.

        Raises:
            SomeRoomsAway: that happened.
            StoreUnavailable: the store did not answer; the snapshots are marked stale.
        """
        now_s = self._clock.monotonic_s()
        everything = now_s - self._looked_all_s >= 0.9 * self.refresh_ms / 1000 or not leading
        try:
            failures = await self._declare() if everything else []
            if everything:
                await self._note_sightings()
            failures += await self._look(leading, everything)
            failures += await self._report(replica_id, live_replicas)
        except StoreUnavailable:
            for room in self._rooms.values():
                room.stale = True
            raise
        if everything:
            self._looked_all_s = now_s
        away = [error for error in failures if not isinstance(error, StateUnreadable)]
        if away:
            raise SomeRoomsAway from away[0]

    def next_due_s(self) -> float:
        """Seconds until something is due in some room, for whoever ticks; at most a refresh period."""
        due = [room.snapshot.due_in_ms() for room in self._rooms.values() if room.snapshot is not None]
        next_s = min([self.refresh_ms, *(ms for ms in due if ms is not None)]) / 1000
        return max(next_s, SHORTEST_TICK_S if next_s < self.refresh_ms / 1000 else 0)

    def _made(self, name: str, declared: RoomSettings | None) -> Room:
        return Room(name, declared, self._store, SCRIPTS, self._clock, 2 * self.refresh_ms)

    async def _run(self, calls: list[Call]) -> list[Any]:
        """Run scripts in as few round trips as keep each of them short, so that requests come in between."""
        replies: list[Any] = []
        for i in range(0, len(calls), CALLS_AT_ONCE):
            replies += await self._store.run_many(calls[i : i + CALLS_AT_ONCE], purpose="background")
        return replies

    async def refresh_directory(self) -> None:
        """Read the list of rooms now, so that this replica serves a new room at once."""
        await self._read_directory()
        fresh = [room for room in self._rooms.values() if room.snapshot is None and room.declared is None]
        replies = await self._store.run_many([room.look(tick=False, leading=False) for room in fresh])
        for room, reply in zip(fresh, replies, strict=True):
            if not isinstance(reply, Exception) and reply[0] == Reply.OK:
                self._take_look(room, reply)

    async def _read_directory(self) -> None:
        [reply] = await self._store.run_many([self.directory.look(self._served())], purpose="background")
        if isinstance(reply, Exception):
            raise reply
        self._take_directory(reply)

    def _served(self) -> list[str]:
        """Rooms that the list should name: those declared, and those seen."""
        return [room.name for room in self._rooms.values() if room.declared is not None or room.snapshot is not None]

    def _take_directory(self, reply: list[Any]) -> None:
        if not self.directory.take(reply):
            return
        for name in self.directory.gone():
            if self._rooms.pop(name, None) is not None:
                self._declared.discard(name)
                self.generation += 1
                log.info("room_gone", room=name)
        for name in self.directory.live():
            if name not in self._rooms:
                self._rooms[name] = self._made(name, None)
                self._declared.add(name)
                self.generation += 1
                log.info("room_found", room=name)

    def _take_time(self, now_ms: int, took_s: float) -> None:
        """Set this replica's clock by the store's, where they are far apart."""
        if not self._clock.hear(now_ms / 1000, took_s):
            return
        if self._clock.store_ahead_s == 0:
            log.info("clock_agrees_with_the_store")
        else:
            log.warning(
                "clock_set_by_the_store",
                off_by_s=round(self._clock.store_ahead_s, 1),
                hint="this machine and the store's do not have the same time; the store's counts here",
            )

    async def _declare(self) -> list[Exception]:
        """Make what is missing; what went wrong."""
        if all(name in self._declared for name in self._rooms):
            return []
        try:  # whether a room is missing because it was lost, or because it is gone, only the list can tell
            await self._read_directory()
        except StoreUnavailable as error:
            return [error]
        failures: list[Exception] = []
        undeclared = [room for room in self._rooms.values() if room.name not in self._declared]
        for room, reply in zip(
            undeclared,
            await self._run([room.declaration() for room in undeclared]),
            strict=True,
        ):
            if isinstance(reply, Exception):
                failures.append(reply)
                continue
            self._declared.add(room.name)
            if reply[1] > 0:
                log.info("room_declared", room=room.name, made=reply[1] == 2)
        return failures

    async def _note_sightings(self) -> None:
        told = [(room, call) for room in self._rooms.values() for call in room.sightings()]
        replies: list[Any] = [StoreUnavailable()] * len(told)  # until they have come
        try:
            replies = await self._run([call for _, call in told])
        finally:
            for (room, _), reply in zip(told, replies, strict=True):
                if isinstance(reply, StoreUnavailable):
                    room.keep_sightings()

    async def _look(self, leading: bool, everything: bool) -> list[Exception]:
        """Look at the rooms, and do what is due; what went wrong."""
        rooms = self.all() if everything else [room for room in self.all() if _is_due(room)]
        calls: list[Call] = [self.directory.look(self._served())] if everything else []
        run_id = await self._which_server() if len(rooms) >= MANY_ROOMS else b""
        calls += [room.look(tick=self._should_tick(room, leading), leading=leading, run_id=run_id) for room in rooms]
        asked_s = self._clock.monotonic_s()
        replies, failures = await self._run(calls), []
        took_s = self._clock.monotonic_s() - asked_s
        if everything:
            listed = replies.pop(0)
            if isinstance(listed, Exception):
                failures.append(listed)
            else:
                self._take_directory(listed)
                self._take_time(listed[1], took_s)
        failures += self._take_looks(rooms, replies)
        for _ in range(MOST_PAGES):
            behind = [room for room in self.all() if room.snapshot is not None and not (room.caught_up or room.stale)]
            if not behind:
                break
            failures += self._take_looks(
                behind, await self._run([room.look(tick=False, leading=False) for room in behind])
            )
        return failures

    def _take_looks(self, rooms: list[Room], replies: list[Any]) -> list[Exception]:
        """Take over what came; what did not."""
        failures: list[Exception] = []
        for room, reply in zip(rooms, replies, strict=True):
            if room.name not in self._rooms:
                continue
            if isinstance(reply, Exception):
                if not room.stale and not isinstance(reply, StoreUnavailable):
                    log.error("room_cannot_be_looked_at", room=room.name, exc_info=reply)
                room.missed(reply)
                failures.append(reply)
            elif reply[0] == Reply.NO_SUCH_ROOM:
                log.warning("room_lost_by_the_store", room=room.name)
                if room.declared is not None or room.snapshot is not None:
                    self._declared.discard(room.name)
            elif (error := self._take_look(room, reply)) is not None:
                failures.append(error)
        return failures

    def _take_look(self, room: Room, reply: list[Any]) -> StateUnreadable | None:
        """Take over one look; the error, if no sense can be made of what the store holds."""
        try:
            with self._store.reading(*room.keys.values()):
                room.take(reply)
        except StateUnreadable as error:
            room.missed(error)
            return error
        return None

    async def _which_server(self) -> bytes:
        """The server's run id, asked for once where there is one server."""
        if self._store.is_cluster:
            return b""
        reply = await self._store.run(SCRIPTS["which_server"], {"index": keys.ROOMS_INDEX}, {}, purpose="background")
        run_id: bytes = reply[1]
        return run_id

    def _should_tick(self, room: Room, leading: bool) -> bool:
        known = room.snapshot
        return (
            known is None
            or (not known.quiet and (leading or known.overdue(self.refresh_ms, room.unheard_ms())))
            or room.stale
        )

    async def _report(self, replica_id: str, live_replicas: int) -> list[Exception]:
        """Tell the store what it has lost; what went wrong, which is told again."""
        failures: list[Exception] = []
        reports = [(room, room.pending_report(replica_id, live_replicas)) for room in self.all()]
        calls = [(room, call) for room, part in reports for call in part]
        replies = await self._run([call for _, call in calls])
        for (room, call), reply in zip(calls, replies, strict=True):
            if isinstance(reply, Exception):
                failures.append(reply)
            elif call.script is SCRIPTS["register"]:
                room.proven_told()
                if reply[0] == Reply.OK and reply[1]:
                    log.warning("sessions_brought_back", room=room.name, sessions=reply[1])
            elif call.script is SCRIPTS["bar_again"]:
                if reply[1]:
                    log.warning("bars_brought_back", room=room.name, bars=reply[1])
            elif call.script is SCRIPTS["report"]:
                room.report_done()
                if reply[0] == Reply.OK and reply[1]:
                    log.warning("room_brought_back", room=room.name)
        return failures


def _is_due(room: Room) -> bool:
    due_ms = room.snapshot.due_in_ms() if room.snapshot is not None else None
    return due_ms is not None and due_ms <= 1000 * SHORTEST_TICK_S + 5
