"""Tokens that a replica has seen before it is measured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.load import burst
from benchmarks.processes import Running

BURST_S = 4
MOST_BURSTS = 10


def see_all(url: str, under_test: Sequence[Running], tokens: Path, count: int, **request: Any) -> None:
    """Send bursts, each of which starts with the first token, until one has come to the last.

    Args:
        count: how many tokens the file holds.
        request: what else `burst` is to know.

    Raises:
        RuntimeError: the machine is too busy for that.
    """
    for _ in range(MOST_BURSTS):
        if burst(url, under_test, tokens=tokens, seconds=BURST_S, **request).requests >= count:
            return
    raise RuntimeError(f"the machine is too busy: {count} tokens were not seen within {BURST_S} s")
