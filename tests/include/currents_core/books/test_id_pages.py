from __future__ import annotations

from tempfile import TemporaryFile
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from currents_core.books import id_pages
from currents_core.books.id_pages import (
    IdPage,
    Ids,
    fingerprints,
    for_type,
    merge_pages,
    no_ids,
    page_of,
    placed,
    sorted_ids,
)

# Without the event type: these are in the state of earlier versions.
PLAIN = [[16174807180982093618, 16597721811516668107], [7633480361603093444, 12370399551502972738]]
FIXED = pa.array(["4d2e6f4d-ece3-4c34-b66f-645cd5acd26a", "é"])
OPEN = "users.messages.email.Open"
# Few numbers, so that some are the same, and all over the range.
HASHES = st.integers(0, 7).map(lambda number: number * (2**61) + number)
PAGES = st.lists(
    st.lists(st.tuples(HASHES, HASHES, st.integers(0, 2**64 - 1)), max_size=9).map(
        lambda rows: np.array(rows, np.uint64).reshape(-1, 3)
    ),
    max_size=4,
)


def mapped(ids: Ids) -> IdPage:
    with TemporaryFile() as body:
        body.write(page_of(sorted_ids([ids])))
        return IdPage(body)


def read(page: IdPage) -> list[list[int]]:
    found: list[list[int]] = np.array(page.columns).T.tolist()
    return found


def test_fingerprints_do_not_change_between_releases() -> None:
    """They are kept in the state: another hash would find every late repeat new."""
    assert fingerprints(FIXED, OPEN).tolist() == for_type(np.array(PLAIN, np.uint64), OPEN).tolist()
    assert fingerprints(FIXED, OPEN).tolist() == [
        [7377247260837246818, 8672592910578073507],
        [17291249519287640980, 3864569622927503402],
    ]


def test_the_same_id_of_another_event_type_is_another_one() -> None:
    found = {tuple(prints) for kind in (OPEN, "a", "") for prints in fingerprints(FIXED, kind).tolist()}
    assert len(found) == 6


@given(PAGES, st.integers(1, 5))
def test_merging_pages_is_sorting_all_of_them(pages: list[Ids], part: int) -> None:
    expected = sorted_ids(pages)
    with patch.object(id_pages, "_PART", part), TemporaryFile() as body:
        merge_pages([mapped(sorted_ids([ids])) for ids in pages], body)
        page = IdPage(body)
        assert page.columns[0].tolist() == expected[:, 0].tolist()
        assert sorted(read(page)) == sorted(expected.tolist())


def test_pages_are_merged_in_parts_that_are_as_large_as_they_should_be() -> None:
    """Memory is bounded by them."""
    spread = np.zeros((1_000, 3), np.uint64)
    spread[:, 0] = np.arange(1_000, dtype=np.uint64) * np.uint64(2**64 // 1_000)
    pages = [mapped(spread[::2]), mapped(spread[1::2]), mapped(no_ids())]
    with patch.object(id_pages, "_PART", 100):
        sizes = [sum(stop - start for start, stop in bounds) for bounds in id_pages._parts(pages)]
    assert len(sizes) == 10
    assert sum(sizes) == 1_000
    assert max(sizes) <= 102


@given(PAGES)
def test_a_page_is_what_was_written_in_the_order_of_the_hashes(pages: list[Ids]) -> None:
    for ids in pages:
        page = mapped(ids)
        assert sorted(read(page)) == sorted(ids.tolist())
        assert (np.diff(page.columns[0].astype(object)) >= 0).all()
        assert len(page) == len(ids)


@given(st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
def test_a_page_has_the_ids_that_were_put_into_it(inside: set[int], asked: set[int]) -> None:
    def prints(numbers: set[int]) -> Ids:
        return fingerprints(pa.array([f"{number}" for number in sorted(numbers)], pa.string()), OPEN)

    page = mapped(placed(prints(inside), 3, sorted(inside)))
    assert page.contains(prints(asked)).tolist() == [number in inside for number in sorted(asked)]


def test_both_halves_of_a_fingerprint_must_agree() -> None:
    page = mapped(np.array([[1, 1, 0], [2, 2, 0]], np.uint64))
    assert page.contains(np.array([[1, 1], [1, 2], [3, 3]], np.uint64)).tolist() == [True, False, False]


def test_an_id_keeps_its_place() -> None:
    [[*prints, place]] = placed(np.array([[5, 6]], np.uint64), 70_000, [2**32 - 1]).tolist()
    assert prints == [5, 6]
    assert divmod(place, 2**32) == (70_000, 2**32 - 1)
    assert placed(no_ids()[:, :2], 1, []).shape == (0, 3)


def test_an_id_takes_24_bytes_and_what_is_small_keeps_its_order() -> None:
    ids = np.array([[1, 2, 3], [1, 4, 5], [0, 6, 7]], np.uint64)
    assert len(page_of(sorted_ids([ids]))) == 72
    assert sorted_ids([ids]).tolist() == [[0, 6, 7], [1, 2, 3], [1, 4, 5]]
    assert sorted_ids([]).shape == (0, 3)
