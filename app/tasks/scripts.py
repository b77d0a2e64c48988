"""The queue's Lua scripts by name, read once."""

from pathlib import Path

from app.store import load_scripts

SCRIPTS = load_scripts(Path(__file__).parent / "lua")
