"""Kinds of values that several groups of settings share."""

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

MIN_SECRET_BYTES = 32
MIN_TOKEN_CHARS = 16
ROOM_NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"


def is_room_name(name: object) -> bool:
    """Whether a room may be called so."""
    return isinstance(name, str) and re.fullmatch(ROOM_NAME_PATTERN, name) is not None


def split_commas(value: Any) -> Any:
    """`"a, b"` and `["a", "b"]` are the same list; empty items are dropped."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def default_data_dir() -> Path:
    """Where data is kept unless said otherwise, as the XDG base directories have it."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "stanchion"


CommaList = Annotated[tuple[str, ...], BeforeValidator(split_commas)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(split_commas)]
RoomName = Annotated[str, Field(pattern=ROOM_NAME_PATTERN)]
