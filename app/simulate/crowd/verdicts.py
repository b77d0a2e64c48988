"""What became of a promise, and what all checks share."""

from typing import NamedTuple

from app.simulate.crowd.record import Recording

SKEW_S = 3.0
"""Replicas answer from looks that are a quarter of a second old, on a busy machine more. Within this nothing is called late."""
MOST_EXAMPLES = 5


class Verdict(NamedTuple):
    """What became of one promise."""

    name: str
    promise: str
    holds: bool | None
    """None: could not be checked."""
    detail: str
    broken: int = 0
    examples: tuple[str, ...] = ()


def verdict(name: str, promise: str, broken: list[str], told: str) -> Verdict:
    """The promise by the times it was seen broken; `told` says what was looked at."""
    return Verdict(name, promise, not broken, told, len(broken), tuple(broken[:MOST_EXAMPLES]))


def not_checked(recording: Recording, name: str, promise: str, limit: str) -> Verdict:
    """The promise is about a limit that the room does not have, or that is not known."""
    why = recording.no_limits_because if recording.limits is None else f"the room has no {limit}"
    return Verdict(name, promise, None, why)


def steered(name: str, promise: str) -> Verdict:
    """The promise is not one towards the operator."""
    return Verdict(name, promise, None, "an operator steered the room meanwhile")
