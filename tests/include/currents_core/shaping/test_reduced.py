from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from currents_core.shaping.encode import encode
from currents_core.shaping.envelope import Events
from currents_core.shaping.json_text import concat
from currents_core.shaping.reduced import reduced

OPEN = "users.messages.email.Open"


def users(json_columns: frozenset[str] = frozenset(), **columns: pa.Array) -> list[dict[str, Any]]:
    """What is left in `user`."""
    rows = len(next(iter(columns.values())))
    ids = pa.array([f"{row}" for row in range(rows)])
    table = pa.table({"id": ids, "time": pa.array([1] * rows), "note": ["x"] * rows, **columns})
    events = reduced(Events(OPEN, table.to_pandas(types_mapper=pd.ArrowDtype), json_columns))
    found = [json.loads(each) for each in concat(*encode(events, Counter(), is_nested=False)).to_pylist()]
    assert [each["properties"] for each in found] == [{}] * rows
    assert [each["id"] for each in found] == ids.to_pylist()
    return [each["user"] for each in found]


LONG = "l" * 1_023


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_short_values_stay_and_long_ones_go(kind: pa.DataType) -> None:
    values = pa.array(["short", LONG, "é" * 511, "é" * 512, None], pa.string()).cast(kind)
    assert users(user_id=values) == [{"user_id": "short"}, {}, {"user_id": "é" * 511}, {}, {}]


def test_a_value_counts_as_its_json() -> None:
    assert users(user_id=pa.array(["\n" * 511, "\n" * 512])) == [{"user_id": "\n" * 511}, {}]
    texts = pa.array([f'"{LONG}"', '"short"'])
    assert users(frozenset({"device_id"}), device_id=texts) == [{}, {"device_id": "short"}]
    lists = pa.array([["a"], ["a" * 2_000]])
    assert users(timezone=lists) == [{"timezone": ["a"]}, {}]


def test_rows_of_a_longer_column_are_looked_at_where_they_stand() -> None:
    assert users(external_user_id=pa.array([LONG, LONG, "short", LONG]).slice(2)) == [{"external_user_id": "short"}, {}]
