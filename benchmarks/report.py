"""Figures as tables: on the terminal, and as JSON and Markdown files."""

import json
import os
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"

Rows = list[dict[str, object]]


def show(console: Console, part: str, result: Mapping[str, object]) -> None:
    """Print one part's figures."""
    for title, rows in _tables(part, result):
        table = Table(title=title, title_justify="left")
        for column in rows[0]:
            table.add_column(_words(column), justify="left" if column == next(iter(rows[0])) else "right")
        for row in rows:
            table.add_row(*(_text(value) for value in row.values()))
        console.print(table)


def write(results: Mapping[str, Mapping[str, object]]) -> list[Path]:
    """Keep all figures under the time of day, with the machine they are from."""
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    stem = RESULTS / now.strftime("%Y%m%dT%H%M%SZ")
    where = {"at": now.isoformat(timespec="seconds"), **machine()}
    as_json, as_markdown = stem.with_suffix(".json"), stem.with_suffix(".md")
    as_json.write_text(json.dumps({"machine": where, **results}, indent=2, default=str) + "\n", encoding="utf-8")
    lines = [", ".join(f"{name}: {value}" for name, value in where.items()), ""]
    for part, result in results.items():
        for title, rows in _tables(part, result):
            lines += [f"## {title}", "", *_markdown(rows), ""]
    as_markdown.write_text("\n".join(lines), encoding="utf-8")
    return [as_json, as_markdown]


def machine() -> dict[str, object]:
    """Where the figures are from, and how busy it was."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    return {
        "cpus": os.cpu_count(),
        "model": model,
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _tables(part: str, result: Mapping[str, object]) -> Iterator[tuple[str, Rows]]:
    """A list of rows is a table, a mapping one of names and values; plain values of the part share one."""
    plain: Rows = []
    for name, value in result.items():
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            yield f"{part}: {_words(name)}", value
        elif isinstance(value, dict) and value:
            yield (
                f"{part}: {_words(name)}",
                [{"figure": _words(str(key)), "value": item} for key, item in value.items()],
            )
        else:
            plain.append({"figure": _words(name), "value": value})
    if plain:
        yield part, plain


def _markdown(rows: Rows) -> Iterator[str]:
    yield "| " + " | ".join(_words(column) for column in rows[0]) + " |"
    yield "|" + "---|" * len(rows[0])
    for row in rows:
        yield "| " + " | ".join(_text(value) for value in row.values()) + " |"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []
