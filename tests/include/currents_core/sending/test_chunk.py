from __future__ import annotations

from collections import deque
from collections.abc import Set
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from currents_core.entry import Span, entry_size
from currents_core.limits import Limits
from currents_core.sending.chunk import next_chunk, remove
from tests.tools.entries import make_entries

LIMITS = Limits(entries_per_request=3, bytes_per_request=100, bytes_per_entry=60)
# Sizes of the entries of some batches, each batch of a file of its own.
BATCHES = st.lists(st.lists(st.integers(1, LIMITS.bytes_per_entry), min_size=1))

Chunk = list[tuple[str, int, int]]


def chunks_of(*batches: list[int], alone: Set[int] = frozenset()) -> list[Chunk]:
    """The chunks that waiting batches become, each entry as its file, row and size."""
    waiting: deque[Span] = deque()
    for number, sizes in enumerate(batches):
        entries = make_entries(len(sizes), sizes=sizes, resource=f"{number}")
        waiting += [Span(entries, row, row + 1, alone=True) for row in range(len(sizes)) if row in alone] or [
            Span(entries, 0, len(sizes))
        ]
    chunks: list[Chunk] = []
    while waiting:
        found, is_full = next_chunk(waiting, LIMITS)
        assert is_full or sum(map(len, found)) == sum(map(len, waiting))
        remove(found, waiting)
        sizes_of = [
            (span.entries.common.resource, row, span.entries.size(row, row + 1)) for span in found for row in span.rows
        ]
        chunks.append(sizes_of)
    return chunks


@given(BATCHES)
def test_chunks_hold_every_entry_in_order_within_both_limits(batches: list[list[int]]) -> None:
    chunks = chunks_of(*batches)
    expected = [(f"{number}", row, size) for number, sizes in enumerate(batches) for row, size in enumerate(sizes)]
    assert [entry for each in chunks for entry in each] == expected
    assert all(0 < len(each) <= LIMITS.entries_per_request for each in chunks)
    assert all(sum(size for _, _, size in each) <= LIMITS.bytes_per_request for each in chunks)


@given(BATCHES)
def test_no_chunk_could_have_taken_the_first_entry_of_the_next(batches: list[list[int]]) -> None:
    for this, following in pairwise(chunks_of(*batches)):
        full = len(this) == LIMITS.entries_per_request
        assert full or sum(size for _, _, size in this) + following[0][2] > LIMITS.bytes_per_request


def test_a_chunk_may_fill_the_limit_to_the_last_byte() -> None:
    assert [len(each) for each in chunks_of([50, 50])] == [2]
    assert [len(each) for each in chunks_of([50, 51])] == [1, 1]
    assert [len(each) for each in chunks_of([50], [50])] == [2]


@given(st.text(), st.text(), st.text(), st.text())
def test_the_size_counts_utf8_bytes_and_the_time(source: str, detail_type: str, detail: str, resource: str) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in (source, detail_type, detail, resource)]
    expected = 14 + sum(len(text.encode()) for text in texts)
    assert entry_size(texts[0], texts[1], len(texts[2].encode()), texts[3]) == expected


def test_what_must_go_alone_has_no_company() -> None:
    assert [len(each) for each in chunks_of([1, 1, 1], alone={0, 1, 2})] == [1, 1, 1]
    chunks = chunks_of([1, 1], [1, 1], alone={1})
    assert all(len(each) == 1 for each in chunks)
