from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_core.mode import Mode
from currents_core.shaping.encode import encode
from currents_core.shaping.json_text import concat, lengths
from currents_core.shaping.normalise import normalise
from tests.include.currents_core.shaping.reference import envelope

PURCHASE = "users.behaviors.Purchase"
OPEN = "users.messages.email.Open"

texts = st.text(st.characters(codec="utf-8"), max_size=20)
float32s = st.floats(width=32)
json_objects = st.dictionaries(texts, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts, max_size=3)
own_properties = st.none() | json_objects.map(json.dumps) | texts | st.just("[REDACTED]") | st.just("")

COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "id": (pa.string(), texts.filter(bool)),
    "time": (pa.int32(), st.integers(0, 2**31 - 1)),
    "user_id": (pa.string(), st.none() | texts),
    "timezone": (pa.string(), st.none() | texts),
    "price": (pa.float32(), st.none() | float32s),
    "ratio": (pa.float64(), st.none() | st.floats()),
    "count": (pa.int32(), st.none() | st.integers(-(2**31), 2**31 - 1)),
    "big": (pa.int64(), st.none() | st.integers(-(2**63), 2**63 - 1)),
    "flag": (pa.bool_(), st.none() | st.booleans()),
    "note": (pa.string(), st.none() | texts),
    "long note": (pa.large_string(), st.none() | texts),
    "urls": (pa.list_(pa.string()), st.none() | st.lists(st.none() | texts, max_size=3)),
    "place": (pa.struct({"x": pa.int64()}), st.none() | st.fixed_dictionaries({"x": st.integers(0, 9)})),
    "properties": (pa.string(), own_properties),
}
rows = st.lists(st.fixed_dictionaries({name: values for name, (_, values) in COLUMNS.items()}), max_size=12)


def table(records: list[dict[str, Any]]) -> pa.Table:
    schema = pa.schema({name: kind for name, (kind, _) in COLUMNS.items()})
    return pa.Table.from_pylist(records, schema=schema)


def frame_of(arrow: pa.Table) -> pd.DataFrame:
    return arrow.to_pandas(types_mapper=pd.ArrowDtype)


def details(arrow: pa.Table, event_type: str) -> list[str]:
    normalised = normalise(frame_of(arrow), event_type, {})
    assert normalised.rejections == []
    return [json.loads(each) for each in concat(*encode(normalised.events, Counter())).to_pylist()]


@given(rows, st.sampled_from([PURCHASE, OPEN]))
def test_the_encoded_text_says_what_the_obvious_reference_says(records: list[dict[str, Any]], event_type: str) -> None:
    arrow = table(records)
    encoded = details(arrow, event_type)
    expected = [envelope(event_type, row) for row in arrow.to_pylist()]
    assert [as_32_bit(json.loads(text)) for text in encoded] == [as_32_bit(each) for each in expected]


@pytest.mark.parametrize("mode", ["live", "backfill"])
@given(rows, st.sampled_from([PURCHASE, OPEN]))
def test_a_plain_envelope_is_what_the_json_string_holds(
    mode: Mode, records: list[dict[str, Any]], event_type: str
) -> None:
    events = normalise(frame_of(table(records)), event_type, {}).events
    plain = encode(events, Counter(), mode, is_nested=False)
    texts = concat(*plain).to_pylist()
    assert texts == [json.loads(each) for each in concat(*encode(events, Counter(), mode)).to_pylist()]
    assert lengths(plain).to_pylist() == [len(each.encode()) for each in texts]
    assert all(("currents_export" in json.loads(each)) == (mode != "live") for each in texts)


@pytest.mark.parametrize("is_nested", [True, False])
def test_each_event_has_its_own_claim_check(is_nested: bool) -> None:
    events = normalise(frame_of(pa.table({"id": ["a", "b"], "time": [1, 2]})), OPEN, {}).events
    told = ['{"key":"é\\"","bytes":1}', '{"key":"b","bytes":2}']
    checks = pa.array(told, pa.large_string())
    found = concat(*encode(events, Counter(), "replay", checks, is_nested=is_nested)).to_pylist()
    found = [json.loads(each) for each in found] if is_nested else found
    assert [json.loads(each)["currents_export"] for each in found] == [
        {"mode": "replay", "claim_check": json.loads(check)} for check in told
    ]


def test_an_envelope_ends_in_one_text() -> None:
    events = normalise(frame_of(pa.table({"id": ["a"], "time": [1]})), OPEN, {}).events
    for mode in ("live", "replay"):
        assert [isinstance(part, str) for part in encode(events, Counter(), mode)[-2:]] == [False, True]


@given(rows, st.sampled_from([PURCHASE, OPEN]))
def test_every_output_is_an_object_of_the_five_keys_in_their_order(
    records: list[dict[str, Any]], event_type: str
) -> None:
    for text in details(table(records), event_type):
        assert list(json.loads(text)) == ["event_type", "id", "time", "user", "properties"]
        text.encode("utf-8")


def as_32_bit(value: dict[str, Any]) -> dict[str, Any]:
    """Compares 32-bit floats as such: the text is their shortest decimal, which Python reads into 64 bits."""
    price = value["properties"].get("price")
    if price is not None:
        value["properties"]["price"] = pa.scalar(float(price), pa.float32()).as_py()
    return value


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.14, "3.14"), (0.1, "0.1"), (16777216.0, "16777216"), (1e20, "1e+20"), (-0.5, "-0.5"), (19.99, "19.99")],
)
def test_a_32_bit_float_prints_as_its_shortest_decimal(value: float, text: str) -> None:
    arrow = pa.table({"id": ["a"], "time": [1], "price": pa.array([value], pa.float32())})
    assert details(arrow, PURCHASE) == [
        f'{{"event_type":"{PURCHASE}","id":"a","time":1,"user":{{}},"properties":{{"price":{text}}}}}'
    ]


def test_the_customers_own_json_keeps_its_very_text() -> None:
    own = '{"a": 1.10, "b":12345678901234567890,"a":null, "c":"\\u00e9é"}'
    arrow = pa.table({"id": ["a"], "time": [1], "properties": [own]})
    assert details(arrow, PURCHASE)[0].endswith(f'"properties":{{"purchase_properties":{own}}}}}')


def test_encoding_an_empty_frame_gives_no_events() -> None:
    assert details(table([]), OPEN) == []


def test_a_slice_of_a_longer_column_is_looked_at_where_it_stands() -> None:
    arrow = pa.table({"id": ['"', "b", "c"], "time": [1, 2, 3], "note": ["x", 'quo"te', "plain"]}).slice(1)
    assert [json.loads(text)["properties"]["note"] for text in details(arrow, OPEN)] == ['quo"te', "plain"]
