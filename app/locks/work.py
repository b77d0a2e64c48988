"""The simulated work that stands in where no upstream is set."""

import random

SPREAD = 1 / 6
"""The standard deviation as a part of the mean."""


def simulated_work_s(mean_ms: float, rng: random.Random | None = None) -> float:
    """How long one piece of work takes, in seconds: normally distributed, never negative."""
    gauss = rng.gauss if rng is not None else random.gauss
    return max(gauss(mean_ms, mean_ms * SPREAD), 0.0) / 1000
