"""The machine's clock, and the store's where the two are far apart."""

import pytest

from app.clock import MOST_APART_S, SystemClock

MACHINE_S = 1_000_000.0


class Machine(SystemClock):
    """A machine whose clock stands still, and is off by so much."""

    def __init__(self, off_s: float) -> None:
        self.off_s = off_s

    def unix_s(self) -> float:
        return MACHINE_S + self.off_s + self.store_ahead_s


@pytest.mark.parametrize("off_s", [0.0, 1.9, -1.9])
def test_a_machine_that_is_nearly_right_keeps_its_own_time(off_s: float) -> None:
    machine = Machine(off_s)
    assert not machine.hear(MACHINE_S, 0.01)
    assert machine.unix_s() == MACHINE_S + off_s


@pytest.mark.parametrize("off_s", [7200.0, -7200.0, 2.5, -2.5])
def test_a_machine_that_is_far_off_takes_the_stores_time_once(off_s: float) -> None:
    machine = Machine(off_s)
    assert machine.hear(MACHINE_S, 0.01)
    assert machine.unix_s() == pytest.approx(MACHINE_S, abs=0.01)
    assert not machine.hear(MACHINE_S, 0.01)


@pytest.mark.parametrize("off_s", [7200.0, -7200.0])
def test_a_machine_that_is_set_right_has_its_own_time_back(off_s: float) -> None:
    machine = Machine(off_s)
    machine.hear(MACHINE_S, 0.0)
    machine.off_s = 0.5
    assert machine.hear(MACHINE_S, 0.0)
    assert machine.store_ahead_s == 0
    assert machine.unix_s() == MACHINE_S + 0.5


def test_an_answer_that_took_long_proves_little() -> None:
    """The store may have looked at its clock when it was asked, or just before it was heard."""
    machine = Machine(0.0)
    assert not machine.hear(MACHINE_S - 30, 30)
    assert machine.hear(MACHINE_S - 40, 30)
    assert machine.unix_s() == pytest.approx(MACHINE_S - 25)
    assert Machine(0.0).hear(MACHINE_S + MOST_APART_S + 0.1, 30), (
        "nor can the store have looked later than it was heard"
    )
