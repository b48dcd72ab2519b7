from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from currents_core.setup.settings import Condition
from currents_core.shaping.envelope import Events
from currents_core.shaping.filter import matching

TABLE = pa.table(
    {
        "id": ["a", "b", "c", "d"],
        "country": pa.array(["US", "DE", None, "US"]).dictionary_encode(),
        "price": pa.array([1.5, 10.0, 20.0, None], pa.float32()),
        "count": pa.array([1, None, 3, 4], pa.int32()),
        "text": ["7", "x", None, "9"],
    }
)


def met(*conditions: dict[str, Any]) -> list[bool]:
    frame = TABLE.to_pandas(types_mapper=pd.ArrowDtype).set_axis(pd.RangeIndex(10, 14))
    parsed = [Condition.model_validate(each) for each in conditions]
    result = matching(Events("t", frame, frozenset()), parsed)
    assert result.index.tolist() == [10, 11, 12, 13]
    return list(result)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"field": "country", "in": ["US", "FR"]}, [True, False, False, True]),
        ({"field": "country", "not_in": ["US"]}, [False, True, False, False]),
        ({"field": "price", "at_least": 10}, [False, True, True, False]),
        ({"field": "price", "at_most": 10}, [True, True, False, False]),
        ({"field": "price", "at_least": 2, "at_most": 15}, [False, True, False, False]),
        ({"field": "count", "in": [3, 4]}, [False, False, True, True]),
        ({"field": "text", "at_least": 8}, [False, False, False, True]),
        ({"field": "country", "is_null": True}, [False, False, True, False]),
        ({"field": "country", "is_null": False}, [True, True, False, True]),
        ({"field": "nowhere", "is_null": True}, [True] * 4),
        ({"field": "nowhere", "is_null": False}, [False] * 4),
        ({"field": "nowhere", "in": ["x"]}, [False] * 4),
    ],
)
def test_a_field_meets_what_is_asked_of_it(condition: dict[str, Any], expected: list[bool]) -> None:
    assert met(condition) == expected


def test_every_condition_must_be_met_and_none_asks_nothing() -> None:
    assert met({"field": "country", "in": ["US"]}, {"field": "price", "at_most": 5}) == [True, False, False, False]
    assert met() == [True] * 4


def test_a_condition_that_asks_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="checks nothing"):
        Condition.model_validate({"field": "country"})


COLUMNS = {
    "text": pa.array(["a", "7", "NaN", None]),
    "large": pa.array(["a", "7", "x", None], pa.large_string()),
    "codes": pa.array(["a", "7", "x", None]).dictionary_encode(),
    "whole": pa.array([7, 1, 2**62 + 1, None], pa.int64()),
    "small": pa.array([7, 1, 2, None], pa.uint8()),
    "float": pa.array([7, 3.14, float("nan"), None], pa.float32()),
    "decimal": pa.array([7, 1, 3, None], pa.decimal128(5, 2)),
    "flag": pa.array([True, False, True, None]),
    "list": pa.array([["a"], [], ["7"], None]),
    "struct": pa.array([{"a": 1}, {"a": 2}, {}, None]),
    "date": pa.array([1, 2, 3, None], pa.date32()),
    "moment": pa.array([1, 2, 3, None], pa.timestamp("us", "UTC")),
    "nothing": pa.nulls(4),
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("wanted", [["a"], [7], [True], [3.14], ["a", 7, True, 3.14], [10**400], [-1, 1e300, 2.5]])
def test_a_value_of_another_type_meets_no_condition_and_raises_nothing(name: str, wanted: list[Any]) -> None:
    column = COLUMNS[name]
    frame = pa.table({name: column}).to_pandas(types_mapper=pd.ArrowDtype)
    events = Events("t", frame, frozenset())
    expected = [value is not None and any(_alike(value, each) for each in wanted) for value in column.to_pylist()]
    found = matching(events, [Condition.model_validate({"field": name, "in": wanted})])
    assert list(found) == expected
    left = matching(events, [Condition.model_validate({"field": name, "not_in": wanted})])
    assert list(left) == [value.is_valid and not each for value, each in zip(column, expected, strict=True)]
    for bound in ("at_least", "at_most"):
        within = matching(events, [Condition.model_validate({"field": name, bound: 5})])
        assert len(within) == 4
        assert name in {"text", "large", "codes", "whole", "small", "float", "decimal"} or not within.any()


@pytest.mark.parametrize(
    "kind", [pa.float16(), pa.float32(), pa.float64(), pa.decimal128(38, 18), pa.string()], ids=str
)
@given(number=st.integers(0, 99_999))
def test_a_value_that_is_written_like_a_bound_is_within_it(kind: pa.DataType, number: int) -> None:
    bound = number / 100
    # Arrow casts no decimal to float16.
    value = pa.scalar(f"{bound:.2f}").cast(kind) if kind != pa.float16() else pa.scalar(bound, kind)
    frame = pa.table({"price": [value.as_py()]}, pa.schema({"price": kind})).to_pandas(types_mapper=pd.ArrowDtype)
    for name in ("at_least", "at_most"):
        [is_met] = matching(
            Events("t", frame, frozenset()), [Condition.model_validate({"field": "price", name: bound})]
        )
        assert is_met, name


def _alike(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool) or isinstance(value, str) or isinstance(wanted, str):
        return type(value) is type(wanted) and bool(value == wanted)
    if isinstance(value, float):
        return bool(value == pa.scalar(wanted, pa.float32()).as_py()) if abs(wanted) < 1e38 else False
    return isinstance(value, int | Decimal) and value == wanted
