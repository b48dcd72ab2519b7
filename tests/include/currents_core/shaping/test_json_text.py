from __future__ import annotations

import datetime as dt
import json
import math
from collections import Counter
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_core.shaping.json_text import (
    concat,
    join_members,
    json_text,
    member,
    nested,
    nested_bytes,
    nested_member,
    nested_texts,
)

texts = st.text(st.characters(codec="utf-8"), max_size=8)


def encoded(values: list[Any], kind: pa.DataType | None = None) -> list[str | None]:
    found: list[str | None] = json_text(pa.array(values, kind), Counter()).to_pylist()
    return found


# Arrow types with the values that they can hold, nested as deep as they come.
scalars = st.sampled_from(
    [
        (pa.string(), texts),
        (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
        (pa.uint64(), st.integers(0, 2**64 - 1)),
        (pa.bool_(), st.booleans()),
        (pa.float64(), st.floats()),
    ]
)


def deeper(kinds: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def lists(pair: Any) -> Any:
        return pa.list_(pair[0]), st.lists(st.none() | pair[1], max_size=3)

    def maps(pair: Any) -> Any:
        return pa.map_(pa.string(), pair[0]), st.dictionaries(texts, st.none() | pair[1], max_size=3).map(
            lambda each: list(each.items())
        )

    def structs(pairs: Any) -> Any:
        kind = pa.struct({name: pair[0] for name, pair in pairs.items()})
        return kind, st.fixed_dictionaries({name: st.none() | pair[1] for name, pair in pairs.items()})

    return kinds.map(lists) | kinds.map(maps) | st.dictionaries(texts, kinds, min_size=1, max_size=3).map(structs)


columns = st.recursive(scalars, deeper, max_leaves=5).flatmap(
    lambda pair: st.tuples(st.just(pair[0]), st.lists(st.none() | pair[1], max_size=6))
)


def plain(value: Any, kind: pa.DataType) -> Any:
    """What the JSON of a value should parse to, in the most obvious way."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if pa.types.is_list(kind):
        return [plain(each, kind.value_type) for each in value]
    if pa.types.is_map(kind):
        return {key: plain(each, kind.item_type) for key, each in value}
    if pa.types.is_struct(kind):
        members = {field.name: plain(value[field.name], field.type) for field in kind}
        return {name: each for name, each in members.items() if each is not None}
    return value


@given(columns, st.integers(0, 3))
def test_values_of_any_shape_say_what_the_obvious_way_says(column: Any, start: int) -> None:
    kind, values = column
    array = pa.array(values, kind).slice(start)
    found = [None if text is None else json.loads(text) for text in json_text(array, Counter()).to_pylist()]
    assert found == [plain(value, kind) for value in values[start:]]


@given(st.lists(st.none() | texts, max_size=20))
def test_a_dictionary_says_the_same_as_its_values(values: list[str | None]) -> None:
    array = pa.array(values, pa.string())
    notes = Counter[str]()
    assert json_text(array.dictionary_encode(), notes).to_pylist() == json_text(array, notes).to_pylist()
    assert member("é", array.dictionary_encode(), notes).to_pylist() == member("é", array, notes).to_pylist()


@pytest.mark.parametrize("width", [pa.string(), pa.large_string(), pa.string_view()])
def test_strings_of_every_width_are_escaped_alike(width: pa.DataType) -> None:
    hard = ['"', "\\", "\x00\x1f\x7f", "é😀\u2028", "plain", "", None]
    assert encoded(hard, width) == [None if each is None else json.dumps(each, ensure_ascii=False) for each in hard]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([3.14, 0.1, 16777216.0, 1e20], pa.float32(), ["3.14", "0.1", "16777216", "1e+20"]),
        ([1.5], pa.float16(), ["1.5"]),
        ([0.1 + 0.2], pa.float64(), ["0.30000000000000004"]),
        ([2**63 - 1, -(2**63)], pa.int64(), ["9223372036854775807", "-9223372036854775808"]),
        ([Decimal("1.10"), Decimal("-0.01")], pa.decimal128(5, 2), ["1.10", "-0.01"]),
        ([True, None], pa.bool_(), ["true", None]),
        ([dt.datetime(2026, 1, 2, 3, 4, 5, 6)], pa.timestamp("us"), ['"2026-01-02T03:04:05.000006Z"']),
        ([dt.datetime(2026, 1, 2, tzinfo=dt.UTC)], pa.timestamp("s", "Asia/Tokyo"), ['"2026-01-02T00:00:00Z"']),
        ([dt.date(2026, 1, 2)], pa.date32(), ['"2026-01-02"']),
        ([dt.timedelta(seconds=3)], pa.duration("ms"), ["3000"]),
        ([b"\xc3\xa9", None], pa.binary(), ['"é"', None]),
        ([None, None], pa.null(), [None, None]),
        ([[1, None], [], None], pa.list_(pa.int8()), ["[1,null]", "[]", None]),
        ([[1, 2], None], pa.list_(pa.int8(), 2), ["[1,2]", None]),
        ([{"a": None}, None], pa.struct({"a": pa.int8()}), ["{}", None]),
        ([[("a", None)], []], pa.map_(pa.string(), pa.int8()), ['{"a":null}', "{}"]),
    ],
    ids=lambda value: str(value) if isinstance(value, pa.DataType) else "",
)
def test_each_type_has_its_text(values: list[Any], kind: pa.DataType, expected: list[str | None]) -> None:
    assert encoded(values, kind) == expected


def test_what_json_can_not_say_is_left_out_and_counted_at_any_depth() -> None:
    notes = Counter[str]()
    nan, inf = float("nan"), float("inf")
    assert json_text(pa.array([1.0, nan, inf, None]), notes).to_pylist() == ["1", None, None, None]
    assert json_text(pa.array([{"a": [nan, 1.0]}, {"a": None}]), notes).to_pylist() == ['{"a":[null,1]}', "{}"]
    assert notes == {"not_finite": 3}


@given(st.lists(st.integers(-(2**53), 2**53) | st.none(), max_size=9))
def test_whole_numbers_that_pandas_made_floats_are_written_as_such(numbers: list[int | None]) -> None:
    floats = [None if each is None else float(each) for each in numbers]
    texts = encoded(floats, pa.float64())
    expected = [None if each is None else str(each) for each in numbers]
    assert [each for each, number in zip(texts, numbers, strict=True) if number is None or abs(number) < 2**53] == [
        each for each, number in zip(expected, numbers, strict=True) if number is None or abs(number) < 2**53
    ]
    assert encoded([1e10, 0.5, 1e300, -2.0], pa.float64()) == ["10000000000", "0.5", "1e+300", "-2"]


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_times_that_four_digits_of_a_year_can_not_tell_are_left_out_and_counted(unit: str) -> None:
    notes = Counter[str]()
    each = {"s": 1, "ms": 1_000, "us": 1_000_000}[unit]
    last = 253_402_300_799 * each
    moments = pa.array([last, last + each, 2**63 - 1, -(2**63), None, 0], pa.timestamp(unit))
    texts = json_text(moments, notes).to_pylist()
    assert [text and text[1:20] for text in texts] == [
        "9999-12-31T23:59:59",
        None,
        None,
        None,
        None,
        "1970-01-01T00:00:00",
    ]
    assert notes == {"out_of_range": 3}


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()])
def test_days_that_four_digits_of_a_year_can_not_tell_are_left_out_and_counted(kind: pa.DataType) -> None:
    notes = Counter[str]()
    each = 1 if kind == pa.date32() else 86_400_000
    first, last = -719_162 * each, 2_932_896 * each
    most = 2**31 - 1 if kind == pa.date32() else 2**62
    days = [first - each, first, 0, last, last + each, most, -most, None]
    texts = json_text(pa.array(days, kind), notes).to_pylist()
    assert texts == [None, '"0001-01-01"', '"1970-01-01"', '"9999-12-31"', None, None, None, None]
    assert notes == {"out_of_range": 4}
    nested = pa.array([[most, 0]], pa.list_(kind))
    assert json_text(nested, notes).to_pylist() == ['[null,"1970-01-01"]']


def test_an_object_without_members_keeps_its_row() -> None:
    nothing = pa.array([None, None], pa.large_string())
    assert join_members([nothing, nothing], 2).to_pylist() == ["", ""]
    assert join_members([], 2).to_pylist() == ["", ""]
    one = pa.array(["x", None, "z"], pa.large_string())
    assert join_members([one, one], 3).to_pylist() == ["x,x", "", "z,z"]


def test_texts_are_joined_row_by_row() -> None:
    assert concat("<", pa.array(["a", None], pa.large_string()), ">").to_pylist() == ["<a>", None]


@given(columns, st.booleans())
def test_a_nested_member_is_the_member_escaped_once_more(column: Any, as_dictionary: bool) -> None:
    kind, values = column
    array = pa.array(values, kind)
    if as_dictionary and (pa.types.is_string(kind) or pa.types.is_integer(kind)):
        array = array.dictionary_encode()
    plain_texts = member('a"é', array, Counter()).to_pylist()
    found = nested_member('a"é', array, Counter())
    assert found.to_pylist() == [None if text is None else nested(text) for text in plain_texts]
    assert nested_bytes(found).to_pylist() == [None if text is None else len(text.encode()) for text in plain_texts]


documents = st.recursive(texts | st.integers() | st.none(), lambda each: st.lists(each) | st.dictionaries(texts, each))


@given(
    st.lists(st.none() | st.builds(json.dumps, documents, indent=st.sampled_from([None, 1, "\t"]))), st.integers(0, 3)
)
def test_a_customers_json_is_nested_as_it_is_white_space_and_all(rows: list[str | None], skipped: int) -> None:
    found = nested_texts(pa.array(rows, pa.large_string()).slice(skipped))
    strings = [None if text is None else f'"{text}"' for text in found.to_pylist()]
    assert [None if text is None else json.loads(text) for text in strings] == rows[skipped:]
    assert nested_bytes(found).to_pylist() == [None if row is None else len(row.encode()) for row in rows[skipped:]]
