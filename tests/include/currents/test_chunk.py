from __future__ import annotations

from collections import deque
from collections.abc import Set
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from include.currents.chunk import Chunker
from include.currents.entry import Entry, entry_size
from include.currents.limits import Limits

LIMITS = Limits(entries_per_request=3, bytes_per_request=100, bytes_per_entry=60)
ENTRY = Entry(row=0, source="s", detail_type="t", detail="{}", time=0, resource="r", size=0)


def entries(sizes: list[int]) -> list[Entry]:
    return [ENTRY._replace(row=row, size=size) for row, size in enumerate(sizes)]


def chunks_of(sizes: list[int], alone: Set[int] = frozenset()) -> list[list[Entry]]:
    chunker, waiting, chunks = Chunker(LIMITS), deque(entries(sizes)), []
    chunker.alone = {("r", row) for row in alone}
    while waiting:
        found, is_full = chunker.peek(waiting)
        assert is_full or len(found) == len(waiting)
        chunks.append(found)
        for _ in found:
            waiting.popleft()
    return chunks


@given(st.lists(st.integers(1, LIMITS.bytes_per_entry)))
def test_chunks_hold_every_entry_in_order_within_both_limits(sizes: list[int]) -> None:
    chunks = chunks_of(sizes)
    assert [entry.row for each in chunks for entry in each] == list(range(len(sizes)))
    assert all(0 < len(each) <= LIMITS.entries_per_request for each in chunks)
    assert all(sum(entry.size for entry in each) <= LIMITS.bytes_per_request for each in chunks)


@given(st.lists(st.integers(1, LIMITS.bytes_per_entry)))
def test_no_chunk_could_have_taken_the_first_entry_of_the_next(sizes: list[int]) -> None:
    chunks = chunks_of(sizes)
    for this, following in pairwise(chunks):
        full = len(this) == LIMITS.entries_per_request
        assert full or sum(entry.size for entry in this) + following[0].size > LIMITS.bytes_per_request


def test_a_chunk_may_fill_the_limit_to_the_last_byte() -> None:
    assert [len(each) for each in chunks_of([50, 50])] == [2]
    assert [len(each) for each in chunks_of([50, 51])] == [1, 1]


@given(st.text(), st.text(), st.text(), st.text())
def test_the_size_counts_utf8_bytes_and_the_time(source: str, detail_type: str, detail: str, resource: str) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in (source, detail_type, detail, resource)]
    expected = 14 + sum(len(text.encode()) for text in texts)
    assert entry_size(texts[0], texts[1], len(texts[2].encode()), texts[3]) == expected


@given(st.lists(st.integers(1, LIMITS.bytes_per_entry), min_size=1), st.data())
def test_what_must_go_alone_has_no_company(sizes: list[int], data: st.DataObject) -> None:
    alone = data.draw(st.sets(st.integers(0, len(sizes) - 1)))
    chunks = chunks_of(sizes, alone)
    assert [entry.row for each in chunks for entry in each] == list(range(len(sizes)))
    assert all(len(each) == 1 for each in chunks if alone.intersection(entry.row for entry in each))
