"""Time as the process sees it. The store's own clock (`TIME`) decides everything that replicas share."""

import time
from typing import Protocol


class Clock(Protocol):
    """What the code may ask about time; tests hand in one that they move themselves."""

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""

    def unix_s(self) -> float:
        """Seconds since 1970 by the machine's clock, for showing and for token lifetimes."""


class SystemClock:
    """The machine's clocks."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def unix_s(self) -> float:
        return time.time()
