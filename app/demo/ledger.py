"""Who has bought which seat: one SQLite file, or memory only. The resource that the seats' locks protect.

A lock keeps two visitors from deciding about one seat at a time; what makes sure that a seat is sold once is here. The
ledger remembers the highest fence it has seen for each seat and refuses a lower one, so that a visitor whose lock was
lost while they typed cannot take the seat from the one who has it now.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.demo.hall import SEATS, Seat

OrderState = Literal["paying", "paid", "failed"]

_TABLES = """
CREATE TABLE IF NOT EXISTS seats (
    evening INTEGER NOT NULL, name TEXT NOT NULL, fence INTEGER NOT NULL, order_id TEXT, PRIMARY KEY (evening, name)
);
CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY, visitor TEXT NOT NULL, evening INTEGER NOT NULL, row TEXT NOT NULL, number INTEGER NOT NULL,
    card TEXT NOT NULL, state TEXT NOT NULL, task_id TEXT, outcome TEXT NOT NULL DEFAULT '', ordered_s REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS orders_by_visitor ON orders (visitor, ordered_s);
"""


class SeatTaken(Exception):
    """Somebody else has bought the seat, or is paying for it."""


class HoldOutlived(Exception):
    """Somebody else has held the seat's lock since: this hold counts no more."""


@dataclass(frozen=True)
class Order:
    """One seat, one visitor, one payment."""

    id: str
    visitor: str
    seat: Seat
    card: str
    state: OrderState
    task_id: str | None
    """The payment's task, once the queue has it."""
    outcome: str
    """The receipt of a paid order; what went wrong with a failed one."""


class Ledger:
    """The orders and the seats they have taken. Calls are short and never wait for anything but the disk."""

    def __init__(self, path: Path | None = None) -> None:
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
        self._db.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def evening(self) -> int:
        """The first evening that has seats left."""
        rows = self._db.execute(
            "SELECT evening FROM seats WHERE order_id IS NOT NULL GROUP BY evening HAVING count(*) >= ?", (SEATS,)
        )
        full = {int(row[0]) for row in rows}
        evening = 1
        while evening in full:
            evening += 1
        return evening

    def taken(self, evening: int) -> set[str]:
        """The names of the seats that are sold or being paid for."""
        rows = self._db.execute("SELECT name FROM seats WHERE evening = ? AND order_id IS NOT NULL", (evening,))
        return {str(row[0]) for row in rows}

    def reserve(self, order_id: str, visitor: str, seat: Seat, card: str, fence: int) -> Order:
        """Give the seat to a new order, which is then to be paid. Repeating it gives the same order.

        Raises:
            SeatTaken: another order has it.
            HoldOutlived: a higher fence has been seen for this seat.
        """
        with self._transaction():
            known = self.order(order_id)
            if known is not None:
                return known
            self._see(seat, fence)
            self._db.execute(
                "INSERT INTO orders (id, visitor, evening, row, number, card, state, ordered_s)"
                " VALUES (?, ?, ?, ?, ?, ?, 'paying', ?)",
                (order_id, visitor, seat.evening, seat.row, seat.number, card, time.time()),
            )
            self._db.execute(
                "UPDATE seats SET order_id = ? WHERE evening = ? AND name = ?", (order_id, seat.evening, seat.name)
            )
        return Order(order_id, visitor, seat, card, "paying", None, "")

    def queued(self, order_id: str, task_id: str | None) -> None:
        """Note the payment's task; None when the queue has forgotten it."""
        self._db.execute("UPDATE orders SET task_id = ? WHERE id = ?", (task_id, order_id))

    def paid(self, order_id: str, receipt: str) -> None:
        """The seat is sold, for good."""
        self._db.execute(
            "UPDATE orders SET state = 'paid', outcome = ? WHERE id = ? AND state = 'paying'", (receipt, order_id)
        )

    def failed(self, order_id: str, reason: str) -> None:
        """No money came: the seat is free again."""
        with self._transaction():
            changed = self._db.execute(
                "UPDATE orders SET state = 'failed', outcome = ? WHERE id = ? AND state = 'paying'", (reason, order_id)
            )
            if changed.rowcount:
                self._db.execute("UPDATE seats SET order_id = NULL WHERE order_id = ?", (order_id,))

    def order(self, order_id: str) -> Order | None:
        """An order by its id."""
        return next(self._orders("WHERE id = ?", order_id), None)

    def orders_of(self, visitor: str) -> list[Order]:
        """A visitor's orders, the latest first."""
        return list(self._orders("WHERE visitor = ? ORDER BY ordered_s DESC", visitor))

    def unfinished(self) -> list[Order]:
        """Orders whose payment is not settled yet."""
        return list(self._orders("WHERE state = 'paying'"))

    def _see(self, seat: Seat, fence: int) -> None:
        row = self._db.execute(
            "SELECT fence, order_id FROM seats WHERE evening = ? AND name = ?", (seat.evening, seat.name)
        ).fetchone()
        if row is not None and row[1] is not None:
            raise SeatTaken(seat.name)
        if row is not None and row[0] > fence:
            raise HoldOutlived(seat.name)
        self._db.execute(
            "INSERT INTO seats (evening, name, fence) VALUES (?, ?, ?)"
            " ON CONFLICT (evening, name) DO UPDATE SET fence = excluded.fence",
            (seat.evening, seat.name, fence),
        )

    def _orders(self, condition: str, *values: str) -> Iterator[Order]:
        columns = "id, visitor, evening, row, number, card, state, task_id, outcome"
        rows = self._db.execute(f"SELECT {columns} FROM orders {condition}", values)  # noqa: S608  # no input in it
        for id_, visitor, evening, row, number, card, state, task_id, outcome in rows:
            yield Order(id_, visitor, Seat(evening, row, number), card, state, task_id, outcome)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
