"""Decisions as tables and properties: edges over gaps, poll intervals, merging what was seen."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.rooms.polling import JITTER, MAX_POLL_S, poll_after_s
from app.rooms.snapshot import Snapshot, gap_positions, merge
from app.rooms.window import Status, estimated_wait_ms, moved_edge, standing

BASE = Snapshot(
    room="default", now_ms=1000, epoch=1, version=1, last=100, edge=40, floor=20, run_ms=50_000, ticked_at_ms=1000,
    moved_run_ms=45_000, expires_run_ms=80_000, paused=False, closed=False, size=10, interval_ms=30_000,
    active_ms=60_000, settings_version=1, heal_until_ms=0, heal_from_ms=0, heals=0, gap_total=0, peak=5,
    windows=((30, 60_000), (40, 105_000)), window_edges=(30, 40),
)  # fmt: skip


@pytest.mark.parametrize(
    ("edge", "size", "gaps", "moved"),
    [
        (10, 5, [], 15),
        (10, 5, [(12, 20)], 23),
        (10, 5, [(15, 20)], 20),
        (10, 5, [(16, 20)], 15),
        (10, 5, [(5, 12)], 17),
        (10, 5, [(10, 12), (13, 20)], 24),
        (10, 5, [(2, 8)], 15),
    ],
)
def test_the_edge_passes_gaps_for_free(edge: int, size: int, gaps: list[tuple[int, int]], moved: int) -> None:
    assert moved_edge(edge, size, gaps) == moved


@given(
    edge=st.integers(0, 50),
    size=st.integers(1, 20),
    cuts=st.lists(st.integers(0, 200), max_size=6, unique=True),
)
def test_a_move_lets_in_exactly_its_size_of_real_positions(edge: int, size: int, cuts: list[int]) -> None:
    ends = sorted(cuts)[: len(cuts) // 2 * 2]
    gaps = [(ends[i], ends[i + 1]) for i in range(0, len(ends), 2)]
    moved = moved_edge(edge, size, gaps)
    assert moved - edge - gap_positions(gaps, edge, moved) == size


@pytest.mark.parametrize(
    ("position", "until", "status"),
    [
        (20, 0, Status.EXPIRED),
        (25, 0, Status.ACTIVE),
        (40, 0, Status.ACTIVE),
        (41, 0, Status.WAITING),
        (5, 50_001, Status.ACTIVE),
        (5, 50_000, Status.EXPIRED),
        (39, 49_999, Status.EXPIRED),
    ],
)
def test_a_ticket_stands_where_the_window_says(position: int, until: int, status: Status) -> None:
    assert standing(BASE, 1, position, until).status is status


def test_epochs_decide_before_positions_do() -> None:
    assert standing(replace(BASE, epoch=2), 1, 25, 0).status is Status.RESET
    assert standing(BASE, 2, 25, 0).status is Status.WAITING, "a ticket of an epoch not seen yet is safe"
    assert standing(replace(BASE, paused=True), 1, 50, 0).status is Status.PAUSED


@given(
    wait_s=st.floats(0, 100_000),
    crowd=st.integers(0, 10_000_000),
    ceiling=st.floats(1, 10_000),
    reaction_s=st.floats(0.5, 3600),
    draw=st.floats(0, 0.999),
)
def test_nobody_is_told_to_wait_for_more_than_half_of_what_they_have_to_react(
    wait_s: float, crowd: int, ceiling: float, reaction_s: float, draw: float
) -> None:
    told = poll_after_s(wait_s, crowd, ceiling, reaction_s, draw)
    assert 0 < told <= max(reaction_s / 2, 0.25)
    assert told <= MAX_POLL_S * (1 + JITTER)


@given(crowd=st.integers(1, 100_000), ceiling=st.floats(10, 10_000))
def test_a_waiting_crowd_polls_near_the_ceiling(crowd: int, ceiling: float) -> None:
    assume(crowd / ceiling <= MAX_POLL_S)
    told = poll_after_s(wait_s=10_000, crowd=crowd, ceiling_per_s=ceiling, reaction_s=3600, draw=0.5)
    assert crowd / told <= ceiling * 1.01


def test_the_estimate_counts_whole_batches() -> None:
    assert estimated_wait_ms(BASE, 0) == 25_000
    assert estimated_wait_ms(BASE, 9) == 25_000
    assert estimated_wait_ms(BASE, 10) == 55_000


@given(
    last=st.integers(0, 200), edge=st.integers(0, 200), run_ms=st.integers(0, 100_000), epoch=st.integers(1, 3),
    highest=st.tuples(st.integers(1, 3), st.integers(0, 300)),
)  # fmt: skip
def test_nothing_in_a_merged_snapshot_moves_back(
    last: int, edge: int, run_ms: int, epoch: int, highest: tuple[int, int]
) -> None:
    seen = replace(BASE, last=last, edge=edge, run_ms=run_ms, epoch=epoch, now_ms=2000)
    merged, behind = merge(BASE, seen, highest)
    assert merged.epoch >= BASE.epoch
    if merged.epoch == BASE.epoch:
        assert merged.last >= BASE.last
        assert merged.edge >= BASE.edge
        assert merged.run_ms >= BASE.run_ms
    went_back = last < BASE.last or edge < BASE.edge or run_ms < BASE.run_ms
    lost = (epoch, last) < highest or (epoch == 1 and went_back)
    if epoch == 1 and highest[0] == 1:
        assert behind == lost
