"""When the gate prolongs the sessions of those who use the site."""

from types import SimpleNamespace
from typing import Any

import pytest

from app.tickets.passes import IssuedPass, Pass
from app.web.gate.renewals import Renewals


class Times:
    """A clock moved by hand, and a store that gives every session its whole length anew."""

    def __init__(self, session_s: int) -> None:
        self.now_s = 0.0
        self.session_s = session_s
        self.renewed = 0

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_s(self) -> float:
        return 1_700_000_000 + self.now_s

    def passed(self) -> Pass:
        now_s = int(self.unix_s())
        return Pass("sale", "x", 1, 1, now_s, now_s + self.session_s, False)

    async def renew(self, room: Any, visitor: Any) -> tuple[None, IssuedPass]:
        self.renewed += 1
        return None, IssuedPass(b"", self.passed())


@pytest.mark.parametrize("session_s", [4, 10, 19, 60, 900])
async def test_a_session_of_any_length_goes_on_while_it_is_used(session_s: int) -> None:
    times = Times(session_s)
    renewals, room = Renewals(times, times), SimpleNamespace(name="sale", stale=False)  # type: ignore[arg-type]
    held = times.passed()
    step_s = session_s / 10
    for _ in range(200):
        times.now_s += step_s
        assert times.unix_s() < held.expires_s, "the pass has run out in spite of being used"
        for _ in range(5):  # a page's requests
            if renewals.is_due(held):
                fresh = await renewals.renewed(room, held)  # type: ignore[arg-type]
                held = fresh.claims if fresh is not None else held
    assert times.renewed <= 200 * step_s / (session_s / 4) + 1
