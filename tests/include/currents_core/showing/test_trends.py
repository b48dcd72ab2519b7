from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_core.books.account import Counts
from currents_core.books.overview import HourView, TypeView
from currents_core.books.run_record import RunRecord
from currents_core.setup.settings import Budget
from currents_core.showing.trends import lag_of, total


def view(hour: str, *kinds: TypeView, **more: Any) -> HourView:
    return HourView(hour, types={str(number): kind for number, kind in enumerate(kinds)}, **more)


def kind(rows: int, lag: float | None = None, size: int = 0) -> TypeView:
    return TypeView(size=size, lag=lag, counts=Counts(read=rows, sent=rows))


def test_a_sum_adds_up_what_hours_sent_and_what_it_costs_either_way() -> None:
    found = total([view("a", kind(3_000_000, size=5)), view("b", kind(1_000_000, size=6))], Budget())
    assert (found.counts.sent, found.size) == (4_000_000, 11)
    assert found.classic_dollars == pytest.approx(4.0)
    assert found.custom_dollars == pytest.approx(0.8)
    assert (found.lag, found.used, found.throttled) == (None, 0, 0)


def test_a_run_that_was_for_several_hours_counts_once() -> None:
    run = RunRecord("r", "manual", "t", tries=100, throttled=10, used=0.5)
    replay = RunRecord("again", "replay", "t", tries=100, throttled=0, used=0.7)
    found = total([view("a", runs=(run,)), view("b", runs=(run,), replays=(replay,))], Budget())
    assert (found.throttled, found.used) == (0.05, 0.7)


def test_what_replays_sent_again_costs_as_well() -> None:
    replay = RunRecord("again", "replay", "t", tries=1_500_000, throttled=500_000)
    found = total([view(hour, kind(1_000_000), replays=(replay,)) for hour in ("a", "b")], Budget())
    assert found.counts.sent == 2_000_000
    assert found.classic_dollars == pytest.approx(3.0)


def test_days_share_what_a_replay_of_them_cost() -> None:
    replay = RunRecord("again", "replay", "t", tries=3_000_000)
    views = [view(hour, replays=(replay,)) for hour in ("a1", "a2", "b1")]
    days = [total([each for each in views if each.hour[0] == day], Budget(), among=views) for day in "ab"]
    assert [each.classic_dollars for each in days] == [2.0, 1.0]
    assert total(views, Budget()).classic_dollars == 3.0
    assert total([], Budget(), among=views).classic_dollars == 0.0


def test_lag_is_that_of_rows_so_that_a_small_late_slice_weighs_little() -> None:
    assert lag_of([view("a", kind(90, 600)), view("b", kind(10, 9_000))]) == (600, 9_000)
    assert lag_of([view("a", kind(96, 600)), view("b", kind(4, 9_000))]) == (600, 600)
    assert lag_of([view("a", kind(5, -30))]) == (0, 0), "a clock that is wrong is no negative lag"
    assert lag_of([view("a", kind(0, 5), kind(5))]) is None


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1e6)), min_size=1, max_size=20))
def test_percentiles_are_those_of_the_rows_one_by_one(slices: list[tuple[int, float]]) -> None:
    rows = sorted(lag for count, lag in slices for _ in range(count))
    found = lag_of([view("a", *(kind(count, lag) for count, lag in slices))])
    assert found == tuple(rows[max(0, -(-len(rows) * part // 100) - 1)] for part in (50, 95))
