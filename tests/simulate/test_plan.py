"""The plan of a crowd: the same wish gives the same crowd, of the kinds and the shape that were asked for."""

from bisect import bisect_left
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.simulate.crowd.plan import (
    DEFAULT_MIX,
    DEFAULT_MIX_TEXT,
    SPIKE_SHARE,
    Kind,
    Shape,
    Wish,
    apportion,
    parse_mix,
    plan_crowd,
)

SHARES = st.dictionaries(st.sampled_from(list(Kind)), st.floats(0.01, 1000), min_size=1)


@given(visitors=st.integers(1, 300), seed=st.integers(0, 2**32), shape=st.sampled_from(list(Shape)), mix=SHARES)
def test_the_same_wish_gives_the_same_crowd(visitors: int, seed: int, shape: Shape, mix: dict[Kind, float]) -> None:
    wish = Wish(visitors, seed, shape, over_s=20.0, mix=mix)
    crowd = plan_crowd(wish)
    assert crowd == plan_crowd(wish)
    assert Counter(visitor.kind for visitor in crowd) == Counter(apportion(visitors, mix))
    assert [visitor.number for visitor in crowd] == list(range(1, visitors + 1))
    arrivals = [visitor.arrives_s for visitor in crowd]
    assert arrivals == sorted(arrivals)
    assert arrivals[0] >= 0
    assert arrivals[-1] <= 20.0


def test_another_seed_gives_another_crowd() -> None:
    assert plan_crowd(Wish(50, 1)) != plan_crowd(Wish(50, 2))


def test_a_plan_stays_the_same_from_version_to_version() -> None:
    first = plan_crowd(Wish(1000, 42, Shape.WAVE))[0]
    assert (first.kind, round(first.arrives_s, 6), first.reload_every) == ("impatient", 0.571185, 3)


@given(visitors=st.integers(0, 10_000), mix=SHARES)
def test_shares_are_rounded_so_that_they_add_up(visitors: int, mix: dict[Kind, float]) -> None:
    counts = apportion(visitors, mix)
    assert sum(counts.values()) == visitors
    whole = sum(mix.values())
    assert all(abs(count - visitors * mix[kind] / whole) < 1 for kind, count in counts.items())


def test_arrivals_have_their_shape() -> None:
    def shares(shape: Shape, parts: int) -> list[float]:
        arrivals = [visitor.arrives_s for visitor in plan_crowd(Wish(20_000, 3, shape, over_s=1.0))]
        edges = [bisect_left(arrivals, part / parts) for part in range(parts)] + [len(arrivals)]
        return [(end - start) / len(arrivals) for start, end in pairwise(edges)]

    assert shares(Shape.STEADY, 10) == pytest.approx([0.1] * 10, abs=0.02)
    assert shares(Shape.SPIKE, 10) == pytest.approx([SPIKE_SHARE] + [0.1 / 3] * 9, abs=0.02)
    valley, hill, *_ = waves = shares(Shape.WAVE, 12)
    assert hill > 4 * valley
    assert waves == pytest.approx([valley, hill, hill, valley] * 3, abs=0.02)


def test_a_mix_is_read_as_written() -> None:
    assert parse_mix("patient=1, late=2.5") == {Kind.PATIENT: 1.0, Kind.LATE: 2.5}
    assert parse_mix(DEFAULT_MIX_TEXT) == DEFAULT_MIX


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("patient", "written like"),
        ("polite=3", "'polite=3'"),
        ("patient=1,patient=2", "patient twice"),
        ("patient=-1", "from 0 on"),
        ("patient=nan", "from 0 on"),
        ("late=inf", "from 0 on"),
        ("late=0", "nobody would come"),
        ("", "written like"),
    ],
)
def test_a_mix_that_cannot_be_read_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        parse_mix(text)
