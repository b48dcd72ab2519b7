from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from currents_core.books.account import Counts
from currents_core.books.overview import HourView, TypeView
from currents_core.file_key import SourceFile
from currents_core.hour import hours_back
from currents_core.showing.gaps import Gap, Silence, gaps, silences

OPEN = "users.messages.email.Open"


def file(offset: int, partition: int = 0, hour: str = "2026-11-23-08", name: str = "dataexport") -> SourceFile:
    key = f"in/event_type={OPEN}/date={hour}/{name}+{partition}+{offset:010}.avro"
    return SourceFile("b", key, "e", 1)


def test_numbers_that_no_file_has_are_a_gap() -> None:
    rows = {file(0): 100, file(100): 50, file(160, hour="2026-11-23-09"): 10, file(0, partition=1): 5}
    [gap] = gaps(rows)
    assert gap == Gap(OPEN, 0, 10, file(100).key, file(160, hour="2026-11-23-09").key)


def test_files_of_other_names_and_of_other_exports_are_not_compared() -> None:
    odd = SourceFile("b", f"in/event_type={OPEN}/date=2026-11-23-08/part-0.parquet", "e", 1)
    assert gaps({odd: 5, file(0): 5, file(900, name="another"): 5}) == []


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.data())
def test_without_one_file_in_the_middle_there_is_one_gap_of_its_rows(counts: list[int], data: st.DataObject) -> None:
    offsets = [sum(counts[:number]) for number in range(len(counts))]
    rows = {file(offset): count for offset, count in zip(offsets, counts, strict=True)}
    assert gaps(rows) == []
    lost = data.draw(st.integers(0, len(counts) - 1))
    del rows[file(offsets[lost])]
    told = [gap.missing for gap in gaps(rows)]
    assert told == ([counts[lost]] if 0 < lost < len(counts) - 1 else [])


@given(st.dictionaries(st.integers(0, 100), st.integers(0, 50), max_size=10))
def test_whatever_the_numbers_are_a_gap_is_of_some_rows(numbers: dict[int, int]) -> None:
    assert all(gap.missing > 0 for gap in gaps({file(offset): count for offset, count in numbers.items()}))


def test_a_type_that_had_rows_in_most_hours_and_has_none_in_the_last_has_fallen_silent() -> None:
    hours = hours_back("2026-11-23-08", 48)

    def view(number: int, hour: str) -> HourView:
        rows = {"steady": 1, "silent": number < 40, "seldom": number == 3, "late": number % 2}
        types = {name: TypeView(counts=Counts(read=int(count))) for name, count in rows.items()}
        return HourView(hour, written="t", types=types)

    views = [view(number, hour) for number, hour in enumerate(hours)]
    assert silences(views) == [Silence("silent", hours[39])]
    waits = TypeView(open=1)
    heard = [replace(view, types={**view.types, "silent": waits}) if view.hour > hours[39] else view for view in views]
    assert silences(heard) == [], "files that can't be delivered are none of Braze's silence"
    assert silences([]) == []
    assert silences(views[:3]) == [], "too little is known"
