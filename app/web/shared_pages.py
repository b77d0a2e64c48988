"""Pages that everybody without a place gets alike, made once for each look at the store instead of for each newcomer.

The page is the first thing that a crowd asks for. Filling in its template and compressing it takes a millisecond, some
twenty times a join.
"""

from collections.abc import Callable, Hashable
from typing import NamedTuple

from app.rooms.room import Room
from app.rooms.settings import RoomSettings
from app.rooms.snapshot import Snapshot
from app.web.page_html import Packed

MAX_PAGES = 200
"""Of 5 to 20 kB each: languages, and addresses that visitors want to come to. Beyond that the oldest goes."""


class _Kept(NamedTuple):
    snapshot: Snapshot | None
    stale: bool
    settings: RoomSettings
    page: Packed


class SharedPages:
    """The pages of one replica that show nobody's own place."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Kept] = {}

    def page(self, room: Room, about: Hashable, make: Callable[[], Packed]) -> Packed:
        """The page as made before, if nothing that it shows can have changed since; else made now.

        Args:
            about: all that the page depends on besides the room.
        """
        key = room.name, about
        kept = self._kept.get(key)
        if (
            kept is not None
            and kept.snapshot is room.snapshot
            and kept.stale is room.stale
            and kept.settings is room.settings
        ):
            return kept.page
        self._kept.pop(key, None)
        while len(self._kept) >= MAX_PAGES:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = _Kept(room.snapshot, room.stale, room.settings, make())
        return self._kept[key].page
