from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from currents_aws.json_wire import JsonWire
from currents_core.entry import Common, Entries, Entry, Span, entry_size
from tests.tools.entries import FromFile, entries_of

COMMON = Common("s", "t", "r")


def entries(envelopes: list[str]) -> Entries:
    return entries_of(envelopes, time=7, sizes=[10] * len(envelopes))


def test_entries_come_out_of_any_slice_of_an_array() -> None:
    written = pa.array(
        [b"{},", b'{"Detail":"[\\"\xc3\xa9\\"]","Time":7},', b'{"Detail":"","Time":7},'], pa.large_binary()
    )
    found = Entries([0, 1], COMMON, JsonWire(), written.slice(1), [10, 10], FromFile("r"))
    assert list(Span(found, 0, 2)) == [Entry(0, "s", "t", '["é"]', 7, "r"), Entry(1, "s", "t", "", 7, "r")]


@pytest.mark.parametrize(
    "written",
    [
        pa.array([b"{},"], pa.binary()),
        pa.array([b"{},"]).dictionary_encode(),
        pa.array([b"{},", None], pa.large_binary()),
        pa.array(["{},"], pa.large_string()),
    ],
    ids=lambda written: str(written.type),
)
def test_an_array_whose_buffers_would_be_misread_is_refused(written: Any) -> None:
    with pytest.raises(TypeError, match=r"must be large_binary without nulls"):
        Entries([0], COMMON, JsonWire(), written, [10], FromFile("r"))


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(TypeError, match="must be equally long, not 2, 1 and 1"):
        Entries([0, 1], COMMON, JsonWire(), pa.array([b"{},"], pa.large_binary()), [10], FromFile("r"))


def test_the_size_counts_bytes_as_eventbridge_does() -> None:
    assert entry_size("é", "tt", 5, "rrr") == 14 + 2 + 2 + 5 + 3


def test_as_many_entries_fit_as_the_room_has_bytes_for() -> None:
    found = entries(["{}"] * 5)
    assert [found.fit(1, room) for room in (9, 10, 29, 30, 99)] == [1, 2, 3, 4, 5]
    assert (found.size(1, 3), len(found.first(2)), len(found)) == (20, 2, 5)


def test_a_part_has_the_same_entries_and_keeps_no_others_in_memory() -> None:
    whole = Span(entries([f"{{{number}}}" for number in range(1_000)]), 13, 17)
    apart = whole.apart()
    assert list(apart) == list(whole)
    assert (apart.rows, apart.size, apart.alone) == (whole.rows, whole.size, False)
    assert [list(each) for each in apart.each()] == [list(each) for each in whole.each()]
    assert apart.entries.fit(0, 25) == 2
    assert apart.written == whole.written
    assert apart.entries._written.nbytes < 500
