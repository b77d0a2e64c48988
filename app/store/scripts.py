"""Lua scripts as checked contracts.

A script's header is its signature, read at load time and enforced at every call:

    -- One sentence that says what it does.
    -- KEYS: state, windows
    -- ARGV: count, op_id, entries...
    -- Returns: {status, ...}
    --@include now

A name that ends in `...` takes all that remain. `--@include x` pastes the fragment `_x.lua` from the
script's own folder or from `app/store/lua`; fragments may include fragments, each is pasted once.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SHARED_FRAGMENTS = Path(__file__).parent / "lua"

Value = str | bytes | int | float
Values = Mapping[str, Value | Sequence[Value]]

_INCLUDE = re.compile(r"^--@include (\w+)$", re.MULTILINE)
_LIST = re.compile(r"^-- (KEYS|ARGV):[ \t]*(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Script:
    """One Lua file: its text before fragments are pasted in, and the names of what it takes."""

    name: str
    folder: Path
    text: str
    sentence: str
    keys: tuple[str, ...]
    args: tuple[str, ...]
    returns: str

    def render(self, overrides: Mapping[str, str] | None = None) -> str:
        """The text that the server runs; `overrides` replaces fragments by name (tests set the clock so)."""
        pasted: set[str] = set()

        def paste(match: re.Match[str]) -> str:
            name = match.group(1)
            if name in pasted:
                return ""
            pasted.add(name)
            if overrides and name in overrides:
                return overrides[name]
            return _INCLUDE.sub(paste, self._fragment(name))

        return _INCLUDE.sub(paste, self.text)

    def _fragment(self, name: str) -> str:
        for folder in (self.folder, SHARED_FRAGMENTS):
            path = folder / f"_{name}.lua"
            if path.exists():
                return path.read_text(encoding="utf-8")
        raise FileNotFoundError(f"{self.name}.lua includes {name!r}, but there is no _{name}.lua")

    def pack(self, keys: Values, args: Values) -> list[Value]:
        """`[key count, key…, argument…]` in the header's order.

        Raises:
            TypeError: a name is missing or unknown, so that Python and Lua cannot drift apart.
        """
        packed_keys = _pack(self.name, "KEYS", self.keys, keys)
        return [len(packed_keys), *packed_keys, *_pack(self.name, "ARGV", self.args, args)]


def _pack(script: str, kind: str, names: tuple[str, ...], given: Values) -> list[Value]:
    if len(given) != len(names):
        raise TypeError(f"{script}.lua takes {kind} {names}, not {tuple(given)}")
    packed: list[Value] = []
    try:
        for name in names:
            if name.endswith("..."):
                rest = given[name[:-3]]
                if isinstance(rest, str | bytes | int | float):
                    raise TypeError(f"{script}.lua: {kind} {name} takes a sequence")
                packed.extend(rest)
            else:
                packed.append(given[name])  # type: ignore[arg-type]  # a sequence here fails in the encoder, by name
    except KeyError as error:
        raise TypeError(f"{script}.lua needs {kind} {error}") from None
    return packed


def load_script(path: Path) -> Script:
    """Read one script and its header.

    Raises:
        ValueError: the header is missing or incomplete.
    """
    text = path.read_text(encoding="utf-8")
    lists = {kind: _names(names) for kind, names in _LIST.findall(text)}
    returns = re.search(r"^-- Returns: (.+)$", text, re.MULTILINE)
    first = text.splitlines()[0] if text else ""
    if not first.startswith("-- ") or set(lists) != {"KEYS", "ARGV"} or returns is None:
        raise ValueError(f"{path.name}: the header needs a sentence, KEYS, ARGV and Returns")
    return Script(path.stem, path.parent, text, first[3:], lists["KEYS"], lists["ARGV"], returns.group(1))


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",") if name.strip() not in ("", "none"))


def load_scripts(folder: Path) -> dict[str, Script]:
    """Every script of a folder by name; files that start with `_` are fragments."""
    return {path.stem: load_script(path) for path in _lua_files(folder)}


def _lua_files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.glob("*.lua") if not path.name.startswith("_"))
