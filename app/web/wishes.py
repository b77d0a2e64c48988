"""What a browser would rather have: headers like `Accept-Language` and `Accept-Encoding`, read as RFC 9110 (12.4.2) has them."""

from collections.abc import Iterator
from functools import lru_cache

MOST_HEADER = 500
"""Characters; no browser sends as many."""
_SENT_APART = 64
"""Browsers send few different headers, and each sends its own with every request."""


def wishes(header: str) -> Iterator[tuple[str, float]]:
    """Each name of a list, in small letters, with its weight: 1 unless it says otherwise, 0 where that cannot be read."""
    for item in header.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                weight = _weight(parameter[2:])
        if name:
            yield name, weight


def accepts_gzip(header: str) -> bool:
    """Whether an answer may be compressed, and would not rather be had as it is (RFC 9110, 12.5.3)."""
    return len(header) <= MOST_HEADER and _accepts_gzip(header)


@lru_cache(maxsize=_SENT_APART)
def _accepts_gzip(header: str) -> bool:
    weights = dict(wishes(header))
    weight = weights.get("gzip", weights.get("*", 0.0))
    return weight > 0 and weight >= weights.get("identity", 0.0)


def _weight(text: str) -> float:
    digits = text.replace(".", "", 1)
    return float(text) if digits.isascii() and digits.isdigit() else 0.0
