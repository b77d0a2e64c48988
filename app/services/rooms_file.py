"""Rooms declared in a file, for those who keep their configuration under version control.

The file is read at the start, and again whenever it changes: a mounted ConfigMap needs no restart. It says what
rooms should be like, never what they should be doing: it neither pauses, opens nor resets, and a room that it
no longer names, or that an operator has deleted, stays as it is.

    rooms:
      sale:
        maxActive: 500
        ratePerMinute: 1200
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from app.errors import ConfigError
from app.logs import get_logger
from app.rooms.rooms import Rooms
from app.rooms.settings import RoomSettings, problems_in
from app.settings import is_room_name

log = get_logger(__name__)

LOOK_S = 1.0


def read_rooms_file(path: Path, base: RoomSettings) -> dict[str, RoomSettings]:
    """The rooms that a file declares; what it does not name is as in `base`.

    Raises:
        ConfigError: with one line for everything that cannot be used.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError([f"ROOMS_FILE: cannot read {path}: {error}"]) from None
    if not isinstance(data, dict) or set(data) != {"rooms"} or not isinstance(data["rooms"], dict):
        raise ConfigError([f"ROOMS_FILE: {path} must hold one mapping named `rooms`"])
    problems: list[str] = []
    found: dict[str, RoomSettings] = {}
    for name, given in data["rooms"].items():
        if not is_room_name(name):
            problems.append(f"ROOMS_FILE: {name!r} cannot be a room's name (a-z, 0-9, - and _, up to 64)")
            continue
        try:
            found[name] = _settings(given, base)
        except ValidationError as error:
            problems += [f"ROOMS_FILE: {problem}" for problem in problems_in(error, name)]
    if problems:
        raise ConfigError(problems)
    return found


def _settings(given: Any, base: RoomSettings) -> RoomSettings:
    present = base.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return RoomSettings.model_validate({**present, **given} if isinstance(given, Mapping) else given or present)


async def follow_rooms_file(path: Path, base: RoomSettings, rooms: Rooms) -> None:
    """Apply the file again whenever its content changes; one that cannot be used is reported and ignored."""
    known = _content(path)
    while True:
        await asyncio.sleep(LOOK_S)
        content = await asyncio.to_thread(_content, path)
        if content in (None, known):
            continue
        known = content
        try:
            rooms.declare(read_rooms_file(path, base))
        except ConfigError as error:
            log.error("rooms_file_refused", problems=error.problems)
        else:
            log.info("rooms_file_applied", path=str(path))


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
