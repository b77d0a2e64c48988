"""Wrong admin tokens, counted for each address: whoever sends many has to wait, at the dashboard's form and at the API."""

from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from app.clock import Clock
from app.errors import StoreUnavailable, TooManyTries
from app.store import Store, keys, load_scripts

SCRIPTS = load_scripts(Path(__file__).parent / "lua")

MOST_TRIES = 10
"""Wrong tokens that one address may send within the window."""
WINDOW_S = 300.0
MAX_ADDRESSES = 10_000
"""Addresses that this replica remembers; of more, those that were counted longest ago are known to the store alone."""


class _Tried(NamedTuple):
    tries: int
    until_s: float


class Tries:
    """The tries of all addresses: counted in the store for all replicas, and remembered here.

    What is remembered here refuses without asking anybody, holds many tries of one moment to the bound, and does alone
    while the store is away.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: OrderedDict[str, _Tried] = OrderedDict()

    def check(self, address: str) -> None:
        """Let nobody try who is known here to have tried too often.

        Raises:
            TooManyTries: even the right token is not looked at now.
        """
        known = self._known.get(address)
        if known is not None and known.tries >= MOST_TRIES:
            left_s = known.until_s - self._clock.monotonic_s()
            if left_s > 0:
                raise _too_many(left_s)

    async def count(self, address: str) -> None:
        """Count a try.

        Raises:
            TooManyTries: there were too many before it.
        """
        self.check(address)
        now_s = self._clock.monotonic_s()
        known = self._known.pop(address, None)
        if known is None or known.until_s <= now_s:
            known = _Tried(0, now_s + WINDOW_S)
        self._remember(address, _Tried(known.tries + 1, known.until_s))
        try:
            tries, left_ms = await self._store.run(
                SCRIPTS["try"], {"tries": keys.operator_tries(address)}, {"window_ms": int(WINDOW_S * 1000)}
            )
        except StoreUnavailable:
            return
        self._remember(address, _Tried(tries, self._clock.monotonic_s() + left_ms / 1000))
        if tries > MOST_TRIES:
            raise _too_many(left_ms / 1000)

    async def forget(self, address: str) -> None:
        """The right token has come: the wrong ones before it were slips."""
        self._known.pop(address, None)
        client = self._store.client
        try:
            await self._store.command(lambda: client.delete(keys.operator_tries(address)))
        except StoreUnavailable:
            return  # they end by themselves

    def _remember(self, address: str, tried: _Tried) -> None:
        self._known[address] = tried
        if len(self._known) > MAX_ADDRESSES:
            self._known.popitem(last=False)


def _too_many(left_s: float) -> TooManyTries:
    return TooManyTries("Too many wrong tokens have come from this address; wait for a while.", retry_after_s=left_s)
