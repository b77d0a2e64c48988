"""Time as the process sees it. The store's own clock (`TIME`) decides everything that replicas share."""

import time
from typing import Protocol

MOST_APART_S = 2.0
"""How far this machine's clock may be from the store's and still count."""


class Clock(Protocol):
    """What the code may ask about time; tests hand in one that they move themselves."""

    store_ahead_s: float
    """How far ahead of this machine's clock the store's is, where they are too far apart; else 0."""

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""

    def unix_s(self) -> float:
        """Seconds since 1970, for showing and for token lifetimes."""

    def hear(self, store_s: float, took_s: float) -> bool:
        """Learn the store's time; whether `unix_s` has changed over it.

        Args:
            store_s: what the store's clock said, in seconds since 1970.
            took_s: how long the answer took, at whose beginning or end the store may have looked.
        """


class SystemClock:
    """The machine's clocks, the second set right by the store's where the two are far apart.

    Passes and tickets are good for a time on the store's clock. A replica on a machine that is an hour ahead would
    refuse every one that the others let in.
    """

    store_ahead_s = 0.0

    def monotonic_s(self) -> float:
        return time.monotonic()

    def unix_s(self) -> float:
        return time.time() + self.store_ahead_s

    def hear(self, store_s: float, took_s: float) -> bool:
        ahead_s = store_s - self.unix_s()
        if ahead_s <= MOST_APART_S and ahead_s + took_s >= -MOST_APART_S:
            return False
        found_s = self.store_ahead_s + ahead_s + took_s / 2
        self.store_ahead_s = found_s if abs(found_s) > MOST_APART_S else 0.0
        return True
