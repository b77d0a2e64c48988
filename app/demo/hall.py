"""The hall: which seats there are, and what they cost. Pure."""

import re
from typing import NamedTuple

ROWS = "ABCDEF"
SEATS_IN_ROW = 10
SEATS = len(ROWS) * SEATS_IN_ROW
_NAME = re.compile(rf"([{ROWS}])([1-9][0-9]?)")


class Seat(NamedTuple):
    """One seat of one evening."""

    evening: int
    row: str
    number: int

    @property
    def name(self) -> str:
        """What it is called, such as `C7`."""
        return f"{self.row}{self.number}"

    @property
    def lock_id(self) -> str:
        """The ID lock that whoever decides about this seat must hold."""
        return f"box-office/{self.evening}/{self.name}"

    @property
    def price(self) -> int:
        """In whole euros: the nearer the stage, the dearer."""
        return 72 - 8 * ROWS.index(self.row)


def seats_of(evening: int) -> list[list[Seat]]:
    """All seats, row by row from the stage."""
    return [[Seat(evening, row, number) for number in range(1, SEATS_IN_ROW + 1)] for row in ROWS]


def find_seat(evening: int, name: str) -> Seat | None:
    """The seat of that name, if there is one."""
    match = _NAME.fullmatch(name)
    if match is None or int(match[2]) > SEATS_IN_ROW:
        return None
    return Seat(evening, match[1], int(match[2]))
