from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

from currents_core.shaping.columns import arrow, decoded, not_utf8, plain, series, whole_seconds

AT = dt.datetime(2026, 11, 23, 8, 0, 1, 999_999)
SECONDS = 1_795_420_801


@pytest.mark.parametrize(
    "times",
    [
        pa.array([SECONDS], pa.int32()),
        pa.array([SECONDS], pa.int64()),
        pa.array([AT], pa.timestamp("us")),
        pa.array([AT], pa.timestamp("ns")),
        pa.array([AT], pa.timestamp("ms")),
        pa.array([AT.replace(microsecond=0)], pa.timestamp("s")),
        pa.array([AT.replace(tzinfo=dt.UTC)], pa.timestamp("us", tz="Europe/Berlin")),
        pa.array([str(SECONDS)]),
        pa.array([f" {SECONDS} "], pa.large_string()),
        pa.array([str(SECONDS)]).dictionary_encode(),
        pa.array([float(SECONDS)]),
        pa.array([Decimal(SECONDS)]),
    ],
    ids=lambda times: str(times.type),
)
def test_time_is_whole_seconds_whatever_the_writer_made_of_it(times: pa.Array) -> None:
    assert seconds(times) == [SECONDS]


@pytest.mark.parametrize(
    "times",
    [
        pa.array([None], pa.int32()),
        pa.array([SECONDS * 1000 * 1000], pa.int64()),
        pa.array(["yesterday"]),
        pa.array([float("nan")]),
        pa.array([True]),
        pa.array([None], pa.null()),
    ],
    ids=str,
)
def test_a_time_that_cannot_be_told_is_null(times: pa.Array) -> None:
    assert seconds(times) == [None]


FAR = 2**63 - 1
MOMENT = pa.timestamp("us", "UTC")
FAR_VALUES = {
    "timestamp": (pa.array([FAR, 0, None], MOMENT), [FAR, dt.datetime(1970, 1, 1, tzinfo=dt.UTC), None]),
    "date": (pa.array([2**31 - 1, 0], pa.int32()).cast(pa.date32()), [2**31 - 1, dt.date(1970, 1, 1)]),
    "dictionary": (pa.DictionaryArray.from_arrays([0, None], pa.array([FAR], MOMENT)), [FAR, None]),
    "list": (pa.array([[FAR, None], None], pa.list_(MOMENT)), [[FAR, None], None]),
    "map": (pa.array([[("a", FAR)]], pa.map_(pa.string(), MOMENT)), [[("a", FAR)]]),
    "struct": (pa.array([{"a": FAR, "b": b"x"}], pa.struct({"a": MOMENT, "b": pa.binary()})), [{"a": FAR, "b": b"x"}]),
    "two fields of a name": (
        pa.StructArray.from_arrays([pa.array([1, 2]), pa.array(["x", None])], ["a", "a"]),
        [{"a": "x"}, {"a": None}],
    ),
    "anything else": (pa.array(["a", None]), ["a", None]),
}


@pytest.mark.parametrize(("values", "expected"), FAR_VALUES.values(), ids=FAR_VALUES)
def test_values_are_plain_python_whatever_they_are(values: pa.Array, expected: list[object]) -> None:
    assert plain(values) == expected


def test_bytes_beside_a_date_that_python_can_not_tell_are_looked_at_all_the_same() -> None:
    kind = pa.struct({"a": MOMENT, "b": pa.binary()})
    values = pa.array([{"a": FAR, "b": b"x"}, {"a": FAR, "b": b"\xff"}], kind)
    assert not_utf8(column(values)).tolist() == [False, True]


def seconds(times: pa.Array) -> list[int | None]:
    found = whole_seconds(column(times))
    assert found.dtype == pd.ArrowDtype(pa.int64())
    return list(arrow(found).to_pylist())


def column(values: pa.Array) -> pd.Series:
    return pd.Series(pd.arrays.ArrowExtensionArray(values), index=pd.RangeIndex(7, 7 + len(values)), name="it")


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.dictionary(pa.int32(), pa.binary())], ids=str)
def test_bytes_are_decoded_and_those_that_are_not_utf_8_told(kind: pa.DataType) -> None:
    texts, bad = decoded(column(pa.array([b"\xc3\xa9", None, b"\xff"]).cast(kind)))
    assert arrow(texts).to_pylist() == ["é", None, None]
    assert bad.tolist() == [False, False, True]
    assert texts.index.tolist() == bad.index.tolist() == [7, 8, 9]


def test_a_column_of_other_values_keeps_index_and_name() -> None:
    found = series(pa.array(["a", "b"]), column(pa.array([1, 2])))
    assert (found.index.tolist(), found.name, arrow(found).to_pylist()) == ([7, 8], "it", ["a", "b"])


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.int64()])
def test_a_part_of_a_column_becomes_an_array_of_its_own(kind: pa.DataType) -> None:
    values = pa.array(["1", "2", "3", "4"]).cast(pa.int64() if kind == pa.int64() else pa.string()).cast(kind)
    part = arrow(pd.Series(pd.arrays.ArrowExtensionArray(values.slice(2))))
    assert part.offset == 0
    assert part.to_pylist() == values.to_pylist()[2:]
    whole = arrow(pd.Series(pd.arrays.ArrowExtensionArray(values)))
    assert whole.buffers()[-1].address == values.buffers()[-1].address, "it is not copied"
