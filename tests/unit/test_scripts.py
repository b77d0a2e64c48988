"""A script's header is its signature."""

import re
from pathlib import Path

import pytest

from app.store.scripts import Script, load_script, load_scripts

APP = Path(__file__).parents[2] / "app"
FOLDERS = sorted({path.parent for path in APP.rglob("*.lua") if path.parent != APP / "store" / "lua"})
SCRIPTS = [script for folder in FOLDERS for script in load_scripts(folder).values()]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_header_names_all_that_the_script_uses(script: Script) -> None:
    text = script.render()
    for kind, names in (("KEYS", script.keys), ("ARGV", script.args)):
        used = {int(number) for number in re.findall(rf"\b{kind}\[(\d+)\]", text)}
        open_ended = bool(names) and names[-1].endswith("...")
        assert max(used, default=0) <= len(names), f"{kind}[{max(used)}] has no name in the header"
        fixed = len(names) - (1 if open_ended else 0)
        assert set(range(1, fixed + 1)) <= used, f"a {kind} of the header is never used"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_only_the_clock_fragment_reads_the_time(script: Script) -> None:
    assert "'TIME'" not in script.render({"now": ""})


def test_a_missing_or_unknown_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.lua"
    path.write_text("-- Says hello.\n-- KEYS: a\n-- ARGV: b, rest...\n-- Returns: nothing\nreturn 1\n")
    script = load_script(path)
    assert script.pack({"a": "k"}, {"b": 1, "rest": [2, 3]}) == [1, "k", 1, 2, 3]
    with pytest.raises(TypeError):
        script.pack({"a": "k"}, {"b": 1})
    with pytest.raises(TypeError):
        script.pack({"z": "k"}, {"b": 1, "rest": []})


def test_a_script_without_a_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.lua"
    path.write_text("return 1\n")
    with pytest.raises(ValueError, match="header"):
        load_script(path)
