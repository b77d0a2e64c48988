"""A seat is sold once, whatever the locks did."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.demo.hall import Seat, seats_of
from app.demo.ledger import HoldOutlived, Ledger, SeatTaken

SEAT = Seat(1, "C", 7)


def test_a_lower_fence_than_one_seen_is_refused() -> None:
    ledger = Ledger()
    ledger.reserve("late", "bob", SEAT, "good", fence=20)
    ledger.failed("late", "no money")
    with pytest.raises(HoldOutlived):
        ledger.reserve("early", "ada", SEAT, "good", fence=10)
    assert ledger.order("early") is None
    ledger.reserve("again", "bob", SEAT, "good", fence=20)


def test_reserving_twice_is_the_same_order() -> None:
    ledger = Ledger()
    first = ledger.reserve("one", "ada", SEAT, "good", fence=1)
    ledger.paid("one", "R")
    again = ledger.reserve("one", "ada", SEAT, "good", fence=1)
    assert (first.state, again.state, again.outcome) == ("paying", "paid", "R")
    with pytest.raises(SeatTaken):
        ledger.reserve("two", "ada", SEAT, "good", fence=2)


def test_a_settled_order_stays_as_it_is() -> None:
    ledger = Ledger()
    ledger.reserve("one", "ada", SEAT, "good", fence=1)
    ledger.paid("one", "R")
    ledger.failed("one", "too late")
    assert ledger.taken(1) == {"C7"}
    assert [order.state for order in ledger.orders_of("ada")] == ["paid"]


def test_when_an_evening_is_sold_out_the_next_one_begins() -> None:
    ledger = Ledger()
    for row in seats_of(1):
        for seat in row:
            assert ledger.evening() == 1
            ledger.reserve(seat.name, "ada", seat, "good", fence=1)
    assert ledger.evening() == 2
    ledger.failed("A1", "no money")
    assert ledger.evening() == 1


step = st.tuples(st.sampled_from(["reserve", "paid", "failed"]), st.integers(0, 7), st.integers(1, 9))


@given(st.lists(step, max_size=40))
def test_no_seat_has_two_orders_that_are_paid_or_being_paid(steps: list[tuple[str, int, int]]) -> None:
    ledger = Ledger()
    highest = 0
    for verb, order, fence in steps:
        order_id = str(order)
        if verb == "reserve":
            known = ledger.order(order_id)
            try:
                ledger.reserve(order_id, "ada", SEAT, "good", fence)
            except (SeatTaken, HoldOutlived):
                pass
            else:
                assert known is not None or fence >= highest
                highest = highest if known is not None else max(highest, fence)
        elif verb == "paid":
            ledger.paid(order_id, "R")
        else:
            ledger.failed(order_id, "no money")
        live = [order for order in ledger.orders_of("ada") if order.state != "failed"]
        assert len(live) <= 1
        assert ledger.taken(1) == {order.seat.name for order in live}
    ledger.close()
