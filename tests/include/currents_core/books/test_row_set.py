from __future__ import annotations

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_core.books import row_set
from currents_core.books.row_set import RowSet

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 10)).map(lambda pair: (pair[0], sum(pair))))


def plain(ranges: list[tuple[int, int]]) -> set[int]:
    return {row for start, stop in ranges for row in range(start, stop)}


@given(RANGES)
def test_it_holds_what_a_plain_set_would_in_the_fewest_ranges(ranges: list[tuple[int, int]]) -> None:
    rows, expected = RowSet(ranges), plain(ranges)
    assert [row for start, stop in rows.ranges for row in range(start, stop)] == sorted(expected)
    assert len(rows) == len(expected)
    assert all(before[1] < after[0] for before, after in zip(rows.ranges, rows.ranges[1:], strict=False))
    assert rows.mask(np.arange(100)).tolist() == [row in expected for row in range(100)]
    assert [row in rows for row in range(100)] == [row in expected for row in range(100)]


@given(RANGES, RANGES)
def test_what_two_sets_have_in_common_is_counted_as_with_plain_sets(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    common = len(plain(one) & plain(other))
    assert RowSet(one).common(RowSet(other)) == RowSet(other).common(RowSet(one)) == common


@given(st.lists(st.sets(st.integers(0, 60))))
def test_rows_may_come_in_any_order(batches: list[set[int]]) -> None:
    rows = RowSet()
    for batch in batches:
        rows.add_rows(sorted(batch))
    assert [row for start, stop in rows.ranges for row in range(start, stop)] == sorted(set().union(*batches))


@given(RANGES, st.sampled_from([0, 1, 3, 1_000]))
def test_what_is_read_back_is_what_was_written(ranges: list[tuple[int, int]], many: int) -> None:
    rows = RowSet(ranges)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_set, "_MANY", many)
        written = orjson.dumps(rows.as_json())
    assert RowSet.from_json(orjson.loads(written)).ranges == rows.ranges


def test_scattered_rows_of_a_large_file_take_no_more_than_a_bit_each() -> None:
    rows = RowSet()
    rows.add_rows(np.flatnonzero(np.random.default_rng(1).integers(0, 2, 1_000_000)))
    assert len(rows.ranges) > 200_000
    written = rows.as_json()
    assert len(written) < 1_000_000 / 8 * 1.4
    assert RowSet.from_json(written).ranges == rows.ranges


def test_a_copy_is_a_set_of_its_own() -> None:
    rows = RowSet([(0, 5), (9, 12)])
    copy = rows.copy()
    copy.add(5, 9)
    assert (rows.ranges, copy.ranges) == ([(0, 5), (9, 12)], [(0, 12)])
