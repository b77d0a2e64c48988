"""QR codes as the outline that an SVG path draws: no styles, no scripts, nothing that a strict policy would forbid."""

from itertools import groupby
from typing import NamedTuple

import segno

QUIET = 4
"""Modules of white around the code, without which cameras do not find it."""


class QrCode(NamedTuple):
    """A code to be drawn."""

    size: int
    """Modules in each direction, the white around it included."""
    path: str
    """The dark modules, as the `d` of one SVG path."""


def qr_code(text: str) -> QrCode:
    """The code that says `text`; a quarter of it may be unreadable."""
    matrix = segno.make(text, error="q", micro=False, boost_error=False).matrix
    strokes = []
    for y, row in enumerate(matrix):
        x = 0
        for dark, modules in groupby(row):
            length = len(list(modules))
            if dark:
                strokes.append(f"M{x + QUIET} {y + QUIET}h{length}v1h-{length}z")
            x += length
    return QrCode(len(matrix) + 2 * QUIET, "".join(strokes))
