from __future__ import annotations

import tracemalloc
from tempfile import TemporaryFile

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from currents_core.books import id_streams
from currents_core.books.id_pages import IdPage, Ids, page_of, placed, sorted_ids
from currents_core.books.id_search import places_in
from currents_core.books.id_streams import Source, mapped, mask_of, merged, write_page, written_pages
from currents_core.file_key import Slice

HOUR = "2026-11-23-08"
PLACES = [Slice(HOUR, "a"), Slice(HOUR, "b"), Slice(HOUR, None)]
SLICES = st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=30), min_size=1, max_size=3)


def page(numbers: list[int], place: Slice) -> IdPage:
    """A page of a slice whose ids are ``numbers`` where no type is known; file 1 has them all."""
    prints = np.array([(each, each) for each in numbers], np.uint64).reshape(-1, 2) ^ mask_of(place)
    return mapped(sorted_ids([placed(prints, 1, range(len(numbers)))]))


def of(parts: list[Ids]) -> list[list[int]]:
    return [each for part in parts for each in part.tolist()]


@given(SLICES, st.integers(1, 8), st.integers(8, 40))
def test_slices_become_one_day_and_each_can_be_parted_again(slices: list[list[int]], part: int, most: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(id_streams, "_PART_IDS", part)
        patched.setattr(id_streams, "PAGE_IDS", most)
        pages = [page(numbers, place) for numbers, place in zip(slices, PLACES, strict=False)]
        sources = [
            Source(each, mask_of(place), 10 * at) for at, (each, place) in enumerate(zip(pages, PLACES, strict=False))
        ]
        day: list[tuple[IdPage, int]] = []
        for body, count in written_pages(sources):
            day.append((IdPage(body), count))
        together = of([np.array(each.columns).T for each, _ in day])
        assert [each[0] for each in together] == sorted(each for numbers in slices for each in numbers)
        assert [len(each) for each, _ in day] == [count for _, count in day]
        assert all(each[0] == each[1] for each in together)
        for at, (each, place) in enumerate(zip(pages, PLACES, strict=False)):
            back = [Source(found, mask_of(place), -10 * at, (10 * at, 10 * at + 2)) for found, _ in day]
            assert sorted(of(list(merged(back)))) == sorted(of([np.array(each.columns).T]))
            without = [Source(found, mask_of(PLACES[2]), without=[(10 * at, 10 * at + 2)]) for found, _ in day]
            assert len(of(list(merged(without)))) == len(together) - len(each)
        for first in {each for numbers in slices for each in numbers}:
            found = find(day, first)
            assert sorted(found) == sorted(
                (place >> 32, place & 0xFFFFFFFF) for hashed, _, place in together if hashed == first
            )
        assert find(day, 1 << 63) == [] or (1 << 63) in {each for numbers in slices for each in numbers}


def find(day: list[tuple[IdPage, int]], wanted: int) -> list[tuple[int, int]]:
    if not day:
        return []
    width = 2**64 // len(day)
    found, count = day[wanted // width]
    body = np.array(found.columns).tobytes()
    bounds = (wanted // width * width, (wanted // width + 1) * width - 1)
    prints = np.array([[wanted, wanted]], np.uint64)
    return places_in(lambda start, size: body[start : start + size], count, prints, bounds)


def test_an_id_is_found_in_a_large_page_by_a_few_small_requests() -> None:
    random = np.random.default_rng(7)
    hashes = np.sort(random.integers(0, 2**64, 300_000, dtype=np.uint64))
    ids = np.column_stack((hashes, hashes ^ np.uint64(5), np.arange(len(hashes), dtype=np.uint64)))
    body = ids.T.tobytes()
    asked: list[int] = []

    def read_part(start: int, size: int) -> bytes:
        asked.append(size)
        return body[start : start + size]

    for row in random.integers(0, len(hashes), 200):
        asked.clear()
        prints = np.array([[hashes[row], hashes[row] ^ np.uint64(5)]], np.uint64)
        assert places_in(read_part, len(hashes), prints, (0, 2**64 - 1)) == [(0, row)]
        assert len(asked) == 3
        assert sum(asked) < 20_000
        asked.clear()
        assert places_in(read_part, len(hashes), prints + np.uint64(1), (0, 2**64 - 1)) == []
        assert len(asked) == 1


@given(st.dictionaries(st.integers(0, 2**64 - 1), st.integers(1, 500), min_size=1, max_size=4))
@example({0: 60, 1: 140})
def test_all_places_of_an_id_are_found_however_unevenly_hashes_are_spread(numbers: dict[int, int]) -> None:
    hashes = np.array([each for each, number in sorted(numbers.items()) for _ in range(number)], np.uint64)
    body = page_of(placed(np.column_stack((hashes, hashes)), 1, range(len(hashes))))
    for wanted in numbers:
        prints = np.array([[wanted, wanted]], np.uint64)
        found = places_in(lambda start, size: body[start : start + size], len(hashes), prints, (0, 2**64 - 1))
        assert found == [(1, int(row)) for row in np.flatnonzero(hashes == np.uint64(wanted))]


def test_memory_is_bounded_whatever_the_number_of_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_streams, "_PART_IDS", 1 << 14)
    hashes = np.sort(np.random.default_rng(7).integers(0, 2**64, 1 << 19, dtype=np.uint64))
    whole = mapped(np.column_stack((hashes, hashes, np.arange(len(hashes), dtype=np.uint64))))
    del hashes
    tracemalloc.start()
    with TemporaryFile() as body:
        assert write_page(merged([Source(whole, mask_of(PLACES[0]))]), body) == 1 << 19
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 24 * (1 << 14) * 8 + (2 << 20), "12 MB of ids"
