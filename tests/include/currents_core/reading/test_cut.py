from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from currents_core.reading import cut as cut_module
from currents_core.reading.cut import cut, row_bytes

TEXTS = st.none() | st.text(max_size=20)
MAP = pa.map_(pa.string(), pa.string())


def plain(rows: pa.RecordBatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rows.to_pylist()
    return found


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut_module, "BATCH_BYTES", 400)
    monkeypatch.setattr(cut_module, "ROW_BYTES", 200)
    monkeypatch.setattr(cut_module, "VALUE_BYTES", 50)


COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "text": (pa.string(), TEXTS),
    "large": (pa.large_string(), TEXTS),
    "few": (pa.dictionary(pa.int32(), pa.string()), st.sampled_from(["a", "b" * 30, None])),
    "list": (pa.list_(pa.string()), st.none() | st.lists(TEXTS, max_size=3)),
    "map": (MAP, st.dictionaries(st.sampled_from("abc"), TEXTS, max_size=2)),
    "struct": (pa.struct({"a": pa.string(), "b": pa.int64()}), st.fixed_dictionaries({"a": TEXTS, "b": st.just(1)})),
    "pair": (pa.list_(pa.string(), 2), st.none() | st.tuples(TEXTS, TEXTS)),
    "fixed": (pa.binary(4), st.none() | st.just(b"four")),
    "number": (pa.int64(), st.integers(0, 9)),
}


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    rows = draw(st.integers(1, 12))
    columns = {}
    for name in draw(st.lists(st.sampled_from(list(COLUMNS)), min_size=1, max_size=4, unique=True)):
        kind, values = COLUMNS[name]
        columns[name] = pa.array(draw(st.lists(values, min_size=rows, max_size=rows)), kind)
    return pa.RecordBatch.from_pydict(columns).slice(draw(st.integers(0, rows - 1)))


@pytest.mark.usefixtures("small")
@settings(max_examples=200, deadline=None)
@given(batches())
def test_the_pieces_are_the_batch_and_stay_below_the_limits(batch: pa.RecordBatch) -> None:
    members = sum(len(name) + 16 for name in batch.schema.names)
    pieces, row = list(cut(batch)), 0
    for piece, is_oversized in pieces:
        rows = plain(batch.slice(row, len(piece)))
        sizes = sum(map(row_bytes, batch.slice(row, len(piece)).columns), np.full(len(piece), members))
        assert sizes.max() <= 200 or is_oversized
        assert sizes.sum() <= 400 or len(piece) == 1 or is_oversized
        if is_oversized:
            assert sizes.min() > 200
            for kept, whole in zip(plain(piece), rows, strict=True):
                assert all(value is None or value == whole[name] for name, value in kept.items())
        else:
            assert plain(piece) == rows
        row += len(piece)
    assert row == len(batch)


@settings(max_examples=100, deadline=None)
@given(batches())
def test_bytes_are_counted_per_row_whatever_part_of_an_array_it_is(batch: pa.RecordBatch) -> None:
    for column in batch.columns:
        alone = [int(row_bytes(pa.concat_arrays([column.slice(row, 1)]))[0]) for row in range(len(column))]
        assert row_bytes(column).tolist() == alone


def test_what_is_not_too_much_comes_whole_and_unchanged() -> None:
    batch = pa.RecordBatch.from_pydict({"id": ["a", "b"], "time": [1, 2]})
    [(piece, is_oversized)] = cut(batch)
    assert piece is batch
    assert not is_oversized


@pytest.mark.usefixtures("small")
def test_an_oversized_row_keeps_its_short_values() -> None:
    batch = pa.RecordBatch.from_pydict({"id": ["a", "b", "c"], "note": ["x", "x" * 500, "y"]})
    assert [(plain(piece), large) for piece, large in cut(batch)] == [
        ([{"id": "a", "note": "x"}], False),
        ([{"id": "b", "note": None}], True),
        ([{"id": "c", "note": "y"}], False),
    ]
    batch = pa.RecordBatch.from_pydict({"id": ["a", "b"], "note": pa.array(["x" * 500] * 2).dictionary_encode()})
    [(piece, is_oversized)] = cut(batch)
    assert (plain(piece), is_oversized) == ([{"id": "a", "note": None}, {"id": "b", "note": None}], True)


def test_a_dictionary_that_costs_more_than_it_saves_is_dissolved() -> None:
    few = pa.array(["a", "b"] * 50).dictionary_encode()
    many = pa.array([f"{row}" for row in range(100)]).dictionary_encode()
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 100), pa.array(["a", "x" * 100_000]))
    [(piece, _)] = cut(pa.RecordBatch.from_pydict({"few": few, "many": many, "long": long}))
    assert list(map(str, piece.schema.types)) == [
        "dictionary<values=string, indices=int32, ordered=0>",
        "string",
        "string",
    ]


def test_control_characters_count_as_their_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut_module, "_MANY", 10)
    assert row_bytes(pa.array(["\x01" * 11])).tolist() == [77]
    assert row_bytes(pa.array(["\x01" * 10])).tolist() == [20]
    assert row_bytes(pa.array(["x" * 30 + "\x01" * 10])).tolist() == [80]


def test_no_rows_are_no_bytes() -> None:
    for kind in (pa.string(), pa.list_(pa.string()), pa.binary(4), pa.int64(), pa.list_(pa.string(), 2)):
        assert np.array_equal(row_bytes(pa.array([], kind)), [])
