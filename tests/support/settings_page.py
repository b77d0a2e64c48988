"""The tables of docs/settings.md, made from the settings. `python -m tests.support.settings_page` writes them."""

import inspect
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from app.settings import SECRET_FIELDS, ClientSettings, Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
START, END = "<!-- tables: start -->\n", "<!-- tables: end -->\n"
GROUPS = [*(base for base in Settings.__bases__ if base is not BaseModel), ClientSettings]
ALL = ClientSettings.model_fields | Settings.model_fields
"""What commands and service share stands with the service."""


def default_of(field: FieldInfo) -> str:
    """The default as the page shows it; one that depends on the machine is told by the description."""
    default: Any = field.default
    if default is PydanticUndefined or default is None or default == () or isinstance(default, SecretStr):
        return ""
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    elif isinstance(default, bool):
        default = str(default).lower()
    elif isinstance(default, float) and default.is_integer():
        default = int(default)
    return f"`{default}`"


def row_of(name: str, field: FieldInfo) -> str:
    """One setting as a row of its table."""
    variable = f"`{name.upper()}`" + (f", `{name.upper()}_FILE`" if name in SECRET_FIELDS else "")
    return f"| {variable} | {default_of(field)} | {(field.description or '').replace('|', chr(92) + '|')} |"


def table_of(group: type[BaseModel]) -> list[str]:
    """A class of settings: the first line of its docstring as heading, then its settings."""
    heading = (inspect.getdoc(group) or group.__name__).splitlines()[0].rstrip(".")
    shared = Settings.model_fields if group is ClientSettings else {}
    rows = [row_of(name, field) for name, field in group.model_fields.items() if name not in shared]
    return [f"## {heading}", "", "| Variable | Default | Meaning |", "| --- | --- | --- |", *rows, ""]


def tables() -> list[str]:
    """All tables, line by line."""
    return [line for group in GROUPS for line in table_of(group)]


def tables_on_the_page() -> list[str]:
    """What the page has at the moment, line by line."""
    return PAGE.read_text(encoding="utf-8").split(START)[1].split(END)[0].splitlines()


if __name__ == "__main__":
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    PAGE.write_text(before + START + "\n".join(tables()) + "\n" + END + after, encoding="utf-8")
