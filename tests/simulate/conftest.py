"""Rooms to play in, and the command as a user runs it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

TOKEN = "admin-token-for-tests"


@dataclass
class Run:
    """A finished `stanchion simulate crowd`."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        """What `--json` printed."""
        content: dict[str, Any] = json.loads(self.out)
        return content

    def promise(self, name: str) -> bool | None:
        """What became of a promise."""
        return next(item["holds"] for item in self.summary["promises"] if item["name"] == name)

    def ended_as(self, outcome: str) -> int:
        """How many visitors of all kinds ended so."""
        return sum(counts.get(outcome, 0) for counts in self.summary["outcomes"].values())


def start_crowd(urls: Sequence[str], *words: str, token: str = TOKEN) -> subprocess.Popen[str]:
    """Start the command; more words are its options."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "app", "simulate", "crowd"),
            *(part for url in urls for part in ("--url", url)),
            *words,
        ],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "COLUMNS": "120", "ADMIN_TOKEN": token},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def ended(process: subprocess.Popen[str], within_s: float = 100.0) -> Run:
    """Wait for its end."""
    try:
        out, err = await asyncio.to_thread(process.communicate, timeout=within_s)
    finally:
        process.kill()
    return Run(process.returncode, out, err)


async def simulate_crowd(urls: Sequence[str], *words: str, token: str = TOKEN) -> Run:
    """Run it to its end."""
    return await ended(start_crowd(urls, *words, token=token))


async def make_room(url: str, name: str, **settings: Any) -> None:
    """Make a room with these settings, by their names on the wire."""
    async with httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        made = await client.post("/admin/api/rooms", json={"room": name, "settings": settings})
        assert made.status_code == 201, made.text
