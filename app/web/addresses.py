"""Where the waiting page's neighbours are, relative to it."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from starlette.requests import Request

from app.rooms.room import Room

STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True)
class Addresses:
    """Where the page's neighbours are, relative to it, so that it works under any prefix."""

    here: str
    root: str

    @classmethod
    def of(cls, request: Request) -> "Addresses":
        name = request.path_params.get("room")
        if name is None:
            return cls("./", "")
        below = request.scope["path"] != f"/rooms/{name}"  # what a form has posted to answers with the page
        return cls(f"../{name}", "../../") if below else cls(name, "../")

    def beside(self, name: str) -> str:
        """The address of one of the room's own routes, such as `join`."""
        return name if self.here == "./" else f"{self.here}/{name}"

    def visit(self, verb: str, room: Room) -> str:
        """The address of what a visitor does with their visit, such as `enter`."""
        return f"{self.root}rooms/{room.name}/{verb}"

    @property
    def static(self) -> str:
        """The folder of styles and scripts; its name changes with their content, so that it may be cached for ever."""
        return f"{self.root}static/v-{static_digest()}"


@cache
def static_digest() -> str:
    """A short name of the present content of the page's static files."""
    digest = sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
