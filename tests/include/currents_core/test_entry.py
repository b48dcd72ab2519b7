from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from currents_core.entry import Entries, Entry, Span, entry_size
from tests.tools.entries import FromFile


def entries(details: pa.Array, rows: int | None = None) -> Entries:
    count = len(details)
    return Entries(list(range(rows or count)), "s", "t", details, [7] * count, "r", [10] * count, FromFile("r"))


def test_entries_come_out_of_any_slice_of_an_array() -> None:
    details = pa.array(['"{}"', '"[\\"é\\"]"', '""'], pa.large_string()).slice(1)
    assert list(Span(entries(details), 0, 2)) == [Entry(0, "s", "t", '["é"]', 7, "r"), Entry(1, "s", "t", "", 7, "r")]


@pytest.mark.parametrize(
    "details",
    [
        pa.array(['"{}"'], pa.string()),
        pa.array(['"{}"']).dictionary_encode(),
        pa.array(['"{}"', None], pa.large_string()),
        pa.array([b'"{}"'], pa.large_binary()),
    ],
    ids=lambda details: str(details.type),
)
def test_an_array_whose_buffers_would_be_misread_is_refused(details: Any) -> None:
    with pytest.raises(TypeError, match=r"must be large_string without nulls"):
        entries(details)


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(TypeError, match="must be equally long, not 2, 1, 1 and 1"):
        entries(pa.array(['"{}"'], pa.large_string()), rows=2)


def test_the_size_counts_bytes_as_eventbridge_does() -> None:
    assert entry_size("é", "tt", 5, "rrr") == 14 + 2 + 2 + 5 + 3


def test_as_many_entries_fit_as_the_room_has_bytes_for() -> None:
    found = entries(pa.array(['"{}"'] * 5, pa.large_string()))
    assert [found.fit(1, room) for room in (9, 10, 29, 30, 99)] == [1, 2, 3, 4, 5]
    assert (found.size(1, 3), len(found.first(2)), len(found)) == (20, 2, 5)


def test_a_part_has_the_same_entries_and_keeps_no_others_in_memory() -> None:
    details = pa.array([f'"{{{number}}}"' for number in range(1_000)], pa.large_string()).slice(10)
    whole = Span(entries(details), 3, 7)
    apart = whole.apart()
    assert list(apart) == list(whole)
    assert (apart.rows, apart.size, apart.alone) == (whole.rows, whole.size, False)
    assert [list(each) for each in apart.each()] == [list(each) for each in whole.each()]
    assert apart.entries.fit(0, 25) == 2
    assert len(apart.entries._texts) < 50
