from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
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
