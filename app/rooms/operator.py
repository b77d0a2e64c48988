"""What operators do to rooms: make, change, steer, look into and delete them. Every act stands in the audit log."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from app.errors import Conflict, InvalidInput, JoinsHeld, NotFound, StateUnreadable, StoreUnavailable
from app.rooms.replies import Reply, check
from app.rooms.room import Room
from app.rooms.rooms import SCRIPTS, Rooms
from app.rooms.settings import RoomSettings, changed_settings, problems_in
from app.store import Store, keys

VERBS = ("pause", "resume", "open", "close", "drain", "reset")
SESSIONS_PAGE = 500
ADMIT_STEP = 1000
"""Let in by one script, which keeps the store for some milliseconds."""
AUDIT_PARTS = ("at", "who", "action", "before", "after")


@dataclass(frozen=True)
class SessionSeen:
    """One session as the store has it; times are the server's, in milliseconds since 1970."""

    position: int
    started_ms: int
    ends_ms: int


@dataclass(frozen=True)
class SessionList:
    """A page of sessions, and what else is active."""

    epoch: int
    sessions: int
    turns: int
    waiting_at_front: int
    page: tuple[SessionSeen, ...]


class Operator:
    """The operator's side of the rooms."""

    def __init__(self, rooms: Rooms, store: Store) -> None:
        self._rooms = rooms
        self._store = store

    async def create(self, name: str, settings: RoomSettings, who: str) -> None:
        """Make a room; every replica serves it within a second.

        Raises:
            Conflict: there is one of that name, or somebody else makes it at this moment.
        """
        epoch = self._rooms.directory.next_epoch(name)
        before = await self._store.run(
            SCRIPTS["enlist"], {"index": keys.ROOMS_INDEX}, {"room": name, "expected": "gone", "state": f"gone:{epoch}"}
        )
        if before[0] != Reply.OK:
            raise Conflict(f"There is a room named {name!r} already.")
        made = await self._store.run(
            SCRIPTS["create"],
            {**keys.room_keys(name), "audit": keys.room_audit(name)},
            {"who": who, "epoch": epoch, "shown": json.dumps(settings.shown()), **settings.script_args()},
        )
        check(name, made)
        await self._enlist(name, "gone", f"live:{epoch}")
        await self._rooms.refresh_directory()

    async def delete(self, name: str, who: str) -> None:
        """Take a room away; its tickets hold no more, also in a later room of that name.

        Raises:
            NotFound: there is none.
            Conflict: it is the room `default`, which the root routes speak for.
        """
        if name == "default":
            raise Conflict(
                "The room 'default' stands behind /join and /status and cannot be deleted; close or reset it."
            )
        snapshot = self._rooms.get(name).snapshot
        epoch = max(snapshot.epoch if snapshot else 0, self._rooms.directory.next_epoch(name))
        await self._enlist(name, "live", f"gone:{epoch}")
        deleted = await self._store.run(
            SCRIPTS["delete"], {**keys.room_keys(name), "audit": keys.room_audit(name)}, {"who": who}
        )
        if deleted[1] > epoch:  # it was reset a moment ago
            await self._enlist(name, "gone", f"gone:{deleted[1]}")
        await self._rooms.refresh_directory()

    async def control(self, name: str, verb: str, who: str, *, expected_epoch: int = 0) -> None:
        """Carry out a verb (`VERBS`).

        Raises:
            NotFound: there is no such room.
            Conflict: the epoch is another one; 0 expects any.
            StoreUnavailable: the outcome is unknown; all but reset may be repeated without harm.
        """
        await self._control(name, verb, who, expected_epoch=expected_epoch)

    async def admit(self, name: str, count: int, who: str) -> int:
        """Let the next `count` in, whatever the pace: in steps, so that requests come in between; how many there were.

        Whatever ends it early, such as a line that is started anew meanwhile, leaves those inside who were let in before.

        Raises:
            NotFound: there is no such room.
            JoinsHeld: it heals, and nobody was let in.
            StoreUnavailable: the outcome is unknown; look before you ask again.
        """
        admitted, epoch, more, entry = 0, 0, 1, b""
        while more and admitted < count:
            step = min(ADMIT_STEP, count - admitted)
            try:
                epoch, let_in, more, entry = await self._control(
                    name, "admit", who, expected_epoch=epoch, count=step, continues=entry
                )
            except StoreUnavailable as error:
                if admitted == 0 or isinstance(error, StateUnreadable):
                    raise
                raise StoreUnavailable(
                    f"{admitted} were let in, and perhaps some more before the store was away; look before you go on."
                ) from error
            except (Conflict, JoinsHeld, NotFound):
                if admitted == 0:
                    raise
                break
            admitted += let_in
        return admitted

    async def _control(
        self, name: str, verb: str, who: str, *, expected_epoch: int = 0, count: int = 0, continues: bytes = b""
    ) -> tuple[int, int, int, bytes]:
        """One step: the room's epoch, how many were let in, whether more could be, and what stands in the audit log."""
        room = self._rooms.get(name)
        reply = await self._store.run(
            SCRIPTS["control"],
            {**room.keys, "audit": keys.room_audit(name)},
            {"verb": verb, "expected_epoch": expected_epoch, "who": who, "count": count, "continues": continues},
        )
        _, epoch, admitted, more, entry = check(name, reply)
        return epoch, admitted, more, entry

    async def configure(self, name: str, settings: RoomSettings, who: str, *, expected_version: int) -> int:
        """Replace a room's settings, when nobody else has changed them since `expected_version`.

        Returns:
            The new version.

        Raises:
            NotFound: there is no such room.
            Conflict: the settings have another version by now.
            StoreUnavailable: the outcome is unknown; look, then repeat.
        """
        room = self._rooms.get(name)
        reply = await self._store.run(
            SCRIPTS["configure"],
            {**room.keys, "audit": keys.room_audit(name)},
            {
                "expected_version": expected_version,
                "who": who,
                "before": json.dumps(room.settings.shown()),
                "after": json.dumps(settings.shown()),
                **settings.script_args(),
            },
        )
        version: int = check(name, reply)[1]
        return version

    async def change(self, name: str, changes: dict[str, Any], who: str, *, expected_version: int | None) -> None:
        """Change some settings and leave the others; None takes a setting back to its default.

        Raises:
            InvalidInput: a setting cannot be so.
            Conflict: somebody else changed them since the version given, or at this very moment.
        """
        room = self._rooms.get(name)
        await self.look(room)  # what is changed are the newest settings, also those set on another replica a moment ago
        version = room.snapshot.settings_version if room.snapshot else 0
        if expected_version not in (None, version):
            raise Conflict("Somebody else changed this first; look again, then repeat your change.", current=version)
        try:
            settings = changed_settings(room.settings, changes)
        except ValidationError as error:
            raise InvalidInput(f"The settings cannot be so: {'; '.join(problems_in(error))}.") from None
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"The settings cannot be so: {error}.") from None
        await self.configure(name, settings, who, expected_version=version)

    async def end(self, name: str, positions: list[int], who: str, *, expected_epoch: int = 0, bar_s: int = 0) -> int:
        """End the visits of some positions of the present line; how many there were.

        Args:
            expected_epoch: the line's epoch, so that positions of an earlier line end nobody's visit; 0: any.
            bar_s: how long their holders may take no new places; 0: they may at once. Done in one
                step with the ending.

        Raises:
            Conflict: the epoch is another one.
        """
        room = self._rooms.get(name)
        epoch = room.snapshot.epoch if room.snapshot else 1
        if expected_epoch not in (0, epoch):
            raise Conflict("These are positions of another line: it was started anew. Look again.", current=epoch)
        return len(await room.sessions.end(epoch, positions, who, bar_s=bar_s))

    async def sessions(
        self, name: str, offset: int = 0, count: int = SESSIONS_PAGE, *, latest: bool = False
    ) -> SessionList:
        """A page of the live sessions: those that end first before the others, or last if the `latest` are wanted."""
        room = self._rooms.get(name)
        args = {"offset": offset, "count": count, "latest": int(latest)}
        reply = check(name, await self._store.run(SCRIPTS["sessions"], room.keys, args))
        _, _, epoch, sessions, turns, front, *page = reply
        with self._store.reading(room.keys["sessions"]):
            rows = tuple(SessionSeen(*(int(part) for part in item.decode().split(":"))) for item in page)
        return SessionList(epoch, sessions, turns, front, rows)

    async def audit(self, name: str, count: int) -> list[dict[str, Any]]:
        """What operators did, newest first; also of a room that is gone."""
        client, key = self._store.client, keys.room_audit(name)
        entries = await self._store.command(lambda: client.lrange(key, 0, count - 1), about=[key])
        with self._store.reading(key):
            found = [json.loads(entry) for entry in entries]
            return [{part: entry[part] for part in AUDIT_PARTS} | {"at": int(entry["at"])} for entry in found]

    async def note(self, name: str, action: str, who: str, what: dict[str, Any]) -> None:
        """Write into the audit log what changes nothing in the room itself."""
        room = self._rooms.get(name)
        reply = await self._store.run(
            SCRIPTS["note"],
            {**room.keys, "audit": keys.room_audit(name)},
            {"who": who, "action": action, "after": json.dumps(what)},
        )
        check(name, reply)

    async def look(self, room: Room) -> None:
        """See a room as it is now, so that an answer shows what was just done."""
        reply = await self._store.run_many([room.look(tick=False, leading=False)])
        if not isinstance(reply[0], Exception) and reply[0][0] == Reply.OK:
            with self._store.reading(*room.keys.values()):
                room.take(reply[0])

    async def _enlist(self, name: str, expected: str, state: str) -> None:
        reply = await self._store.run(
            SCRIPTS["enlist"], {"index": keys.ROOMS_INDEX}, {"room": name, "expected": expected, "state": state}
        )
        if reply[0] != Reply.OK:
            raise Conflict(f"Somebody else made or deleted the room {name!r} at the same time; look again.")
