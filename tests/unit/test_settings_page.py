"""docs/settings.md and the settings say the same; a failure prints the lines to paste."""

import inspect
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from app.settings import SECRET_FIELDS, ClientSettings, Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
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
    elif isinstance(default, float):
        default = f"{default:g}"
    return f"`{default}`"


def line_of(name: str, field: FieldInfo) -> str:
    """One setting as a row of the page's tables."""
    variable = f"`{name.upper()}`" + (f", `{name.upper()}_FILE`" if name in SECRET_FIELDS else "")
    return f"| {variable} | {default_of(field)} | {(field.description or '').replace('|', chr(92) + '|')} |"


def table_of(group: type[BaseModel]) -> list[str]:
    """A class of settings as it stands on the page: its docstring's first line, then its settings."""
    heading = (inspect.getdoc(group) or group.__name__).splitlines()[0].rstrip(".")
    shared = Settings.model_fields if group is ClientSettings else {}
    rows = [line_of(name, field) for name, field in group.model_fields.items() if name not in shared]
    return [f"## {heading}", "", "| Variable | Default | Meaning |", "| --- | --- | --- |", *rows]


def test_every_setting_says_what_it_means() -> None:
    assert not [name for name, field in ALL.items() if not field.description]


def test_the_page_has_every_setting_as_it_is() -> None:
    page = PAGE.read_text(encoding="utf-8").splitlines()
    missing = [
        line
        for group in GROUPS
        if not set(table_of(group)) <= set(page)
        for line in (*table_of(group)[:1], *(row for row in table_of(group) if row not in page))
    ]
    assert not missing, "docs/settings.md lacks, or has in another form:\n" + "\n".join(missing)


def test_the_page_has_no_setting_that_does_not_exist() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)`.*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(name.upper() for name in ALL)


def test_every_setting_belongs_to_one_group() -> None:
    assert sorted(name for group in GROUPS[:-1] for name in group.model_fields) == sorted(Settings.model_fields)
