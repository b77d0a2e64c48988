"""Where the gate sends those who have to wait: the room's page, with the way back, and its routes for programs."""

from app.rooms.room import Room
from app.web.entry import ENTRY_PARAMETER
from app.web.gate.original import Original
from app.web.queries import with_parameter, without_parameter
from app.web.targets import checked_target, is_allowed_host


class GateAddresses:
    """The addresses of one room, as its settings are."""

    def __init__(self, room: Room, root_path: str) -> None:
        self._settings = room.settings
        own = f"{root_path}/rooms/{room.name}"
        given = room.settings.gate.page_url
        self._page = given or own
        base = given.partition("?")[0] if given and given.partition("?")[0].endswith(f"/rooms/{room.name}") else own
        self.for_programs = {
            "room": room.name,
            "pageUrl": self._page,
            **{f"{name}Url": f"{base}/{name}" for name in ("join", "status", "enter")},
        }
        """Members of a refusal that tell a program how to get a place; paths are on the host that was asked."""

    def page(self, original: Original) -> str:
        """The waiting page's address, with the wanted one in its query where there is one that is allowed."""
        target = self._target(original)
        return self._page if target is None else with_parameter(self._page, "target", target)

    def _target(self, original: Original) -> str | None:
        """The way back: a path where page and site share a host, else a whole address on one of the room's hosts.

        What was posted cannot be had again by opening its address.
        """
        if not original.uri.startswith("/") or original.method not in ("GET", "HEAD", ""):
            return None
        uri = without_parameter(original.uri, ENTRY_PARAMETER)
        if not self._settings.gate.page_lives_apart:
            return checked_target(uri, self._settings, "")
        if not is_allowed_host(original.host, self._settings.gate):
            return None
        scheme = "https" if original.https else "http"
        return checked_target(f"{scheme}://{original.host}{uri}", self._settings, "")
