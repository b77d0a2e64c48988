"""Reading the settings from the environment: every bad value is reported at once, by name."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError

from app.errors import ConfigError
from app.settings.locks import LockSettings
from app.settings.page import PageSettings
from app.settings.passes import PassSettings
from app.settings.rooms import RoomFileSettings, RoomSeedSettings
from app.settings.server import ServerSettings
from app.settings.tasks import TaskSettings, WorkerSettings


class Settings(
    ServerSettings,
    RoomSeedSettings,
    RoomFileSettings,
    PassSettings,
    PageSettings,
    LockSettings,
    TaskSettings,
    WorkerSettings,
):
    """All settings together, validated."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


SECRET_FIELDS = ("identity_pepper", "jwt_secret", "pass_key", "admin_token", "task_token", "lock_token", "redis_url")
"""Settings that also have a `NAME_FILE` form."""


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment (or a mapping like it).

    Raises:
        ConfigError: with one line for every value that cannot be used.
    """
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    values: dict[str, str] = {}
    for name in Settings.model_fields:
        if environ.get(name.upper(), "") != "":
            values[name] = environ[name.upper()]
    for name in SECRET_FIELDS:
        path = environ.get(f"{name.upper()}_FILE", "")
        if not path:
            continue
        if name in values:
            problems.append(f"{name.upper()} and {name.upper()}_FILE are both set; keep one")
            continue
        try:
            values[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{name.upper()}_FILE: cannot read {path}: {error}")
    try:
        settings = Settings(**values)  # type: ignore[arg-type]  # the strings of the environment are parsed by pydantic
    except ValidationError as error:
        problems += [explain(item, values) for item in error.errors()]
    if problems:
        raise ConfigError(problems)
    return settings


def explain(item: Any, values: Mapping[str, str]) -> str:
    """One validation error as `NAME: what is wrong (got what)`, without ever printing a secret."""
    message = str(item["msg"]).removeprefix("Value error, ")
    if not item["loc"]:
        return message
    name = str(item["loc"][0])
    if name in SECRET_FIELDS:
        return f"{name.upper()}: {message}"
    return f"{name.upper()}: {message} (got {values.get(name, '')!r})"
