"""The queue's pure decisions, as tables and properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput, TooLarge
from app.tasks.policy import ROTATION, backoff_ms, backoff_table, check_size, execute_at_ms
from app.tasks.queues import in_queue, new_task_id, queue_of
from app.tasks.schedules import next_tick_ms


def test_a_rotation_gives_every_priority_a_turn_and_high_the_most() -> None:
    assert [ROTATION.count(digit) for digit in "012"] == [12, 3, 1]
    assert len(ROTATION) == 16


@given(st.integers(1, 1000), st.floats(0, 1e6), st.floats(0, 1e9), st.floats(0, 1, exclude_max=True))
def test_backoff_grows_up_to_its_limit_and_jitter_takes_half_at_most(
    retry: int, base: float, limit: float, jitter: float
) -> None:
    delay = backoff_ms(retry, base, limit, jitter)
    whole = min(limit, base * 2 ** min(retry - 1, 60))
    assert int(whole / 2) <= delay <= whole
    assert backoff_ms(retry, base, limit, 0) <= backoff_ms(retry + 1, base, limit, 0)


def test_backoff_without_jitter_doubles() -> None:
    assert backoff_table(1000, 300_000, lambda: 0.0)[:10] == [
        1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given_", "ms"),
    [
        (0, 0),
        (1.5, 1),
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1960-01-01T00:00Z", 0),
        ("0001-01-01T00:00:00+14:00", 0),
        ("9999-12-31T23:59:59-12:00", 253_402_343_999_000),
    ],
)
def test_a_moment_is_read(given_: str | float, ms: int) -> None:
    assert execute_at_ms(given_) == ms


@pytest.mark.parametrize("wrong", [-1, 1e300, float("nan"), "soon", "10000-01-01T00:00Z", "2026-01-01T00:00:00", ""])
def test_a_moment_that_makes_no_sense_is_refused(wrong: str | float) -> None:
    with pytest.raises(InvalidInput):
        execute_at_ms(wrong)


def test_size_is_counted_in_bytes() -> None:
    assert check_size("payload", "ä" * 5, 10)
    with pytest.raises(TooLarge):
        check_size("payload", "ä" * 6, 10)


def test_an_id_tells_its_queue() -> None:
    assert queue_of(new_task_id("default")) == "default"
    assert queue_of(new_task_id("billing")) == "billing"
    assert queue_of(in_queue("billing", "cron-x-1")) == "billing"


def test_ticks_follow_the_clock_of_their_time_zone_over_summer_time() -> None:
    hour = 3_600_000
    before = 1_774_659_600_000  # 2026-03-28T01:00Z; clocks go forward in Berlin on the 29th
    first = next_tick_ms("0 4 * * *", "Europe/Berlin", before)
    assert first is not None
    second = next_tick_ms("0 4 * * *", "Europe/Berlin", first)
    assert second is not None
    assert second - first == 23 * hour
    with pytest.raises(InvalidInput, match="cannot be understood"):
        next_tick_ms("0 0 31 2 *", "UTC", before)
