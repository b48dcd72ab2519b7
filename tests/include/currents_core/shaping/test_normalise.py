from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_core.catalog import RENAMED
from currents_core.shaping.encode import encode
from currents_core.shaping.json_text import concat
from currents_core.shaping.normalise import MISSING, NOT_UTF8, TOO_LONG, Normalised, Rejection, by_event_type, normalise

CUSTOM = "users.behaviors.CustomEvent"
OPEN = "users.messages.email.Open"
ABORT = "users.messages.inappmessage.Abort"


def frame(**columns: Any) -> pd.DataFrame:
    return pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype)


def run(event_type: str = OPEN, folders: dict[str, str] | None = None, **columns: Any) -> Normalised:
    size = len(next(iter(columns.values())))
    base = {"id": [f"id{row}" for row in range(size)], "time": list(range(size))}
    return normalise(frame(**(base | columns)), event_type, folders or {})


def values(normalised: Normalised, name: str) -> list[Any]:
    return [None if value is pd.NA else value for value in normalised.events.frame[name].tolist()]


@pytest.mark.parametrize("ids", [pa.array(["a", None, "", "d"]), pa.array(["a", None, "", "d"]).dictionary_encode()])
def test_rows_without_an_id_are_rejected_with_their_place(ids: pa.Array) -> None:
    normalised = run(id=ids)
    assert values(normalised, "id") == ["a", "d"]
    assert normalised.events.frame.index.tolist() == [0, 3]
    assert normalised.rejections == [Rejection(row, "no_id", "id is missing or unusable") for row in (1, 2)]


def test_an_id_that_is_no_string_is_rejected() -> None:
    assert [each.code for each in run(id=[1, 2]).rejections] == ["no_id", "no_id"]


def test_a_row_without_id_and_time_is_rejected_once() -> None:
    normalised = run(id=["a", None], time=pa.array([None, None], pa.int32()))
    assert [(each.row, each.code) for each in normalised.rejections] == [(0, "no_time"), (1, "no_id")]


def test_a_time_that_is_no_time_is_rejected() -> None:
    assert [each.code for each in run(time=["yesterday"]).rejections] == ["no_time"]


def test_own_properties_are_split_out_as_json_or_kept_as_a_string() -> None:
    normalised = run(CUSTOM, properties=['{"a":1}', "{}", None, "", "[REDACTED]", "[1]", '{"cut', '{"a":NaN}'])
    assert values(normalised, "custom_properties") == [
        '{"a":1}',
        "{}",
        None,
        None,
        '"[REDACTED]"',
        '"[1]"',
        '"{\\"cut"',
        '"{\\"a\\":NaN}"',
    ]
    assert normalised.notes == {"properties_kept_as_string": 4}
    assert "properties" not in normalised.events.frame


@pytest.mark.parametrize("texts", [['{"a":"b"}', "{}", None, '{"a":"b"}'], ['{"a":1}', "", "[1]", '{"cut', ""]])
@pytest.mark.parametrize("keep_broken", [True, False])
def test_own_properties_in_a_dictionary_are_what_they_are_without(texts: list[str | None], keep_broken: bool) -> None:
    both = []
    for own in (pa.array(texts), pa.array(texts).dictionary_encode()):
        table = frame(id=[f"id{row}" for row in range(len(own))], time=list(range(len(own))), properties=own)
        normalised = normalise(table, CUSTOM, {}, keep_broken=keep_broken)
        nulls = normalised.events.frame["custom_properties"].isna().tolist()
        envelopes = concat(*encode(normalised.events, Counter())).to_pylist()
        both.append((normalised.rejections, normalised.notes, nulls, envelopes))
    assert both[0] == both[1]


def test_other_types_keep_a_column_called_properties() -> None:
    normalised = run(OPEN, properties=['{"a":1}'])
    assert values(normalised, "properties") == ['{"a":1}']
    assert normalised.events.json_columns == frozenset()


@pytest.mark.parametrize("event_type", RENAMED)
def test_banners_carry_the_name_of_the_envelope(event_type: str) -> None:
    normalised = run(event_type, canvas_step_message_variation_id=["x"])
    assert values(normalised, "canvas_step_message_variation_api_id") == ["x"]
    assert "canvas_step_message_variation_id" not in normalised.events.frame


def test_other_types_keep_the_storage_name() -> None:
    assert values(run(OPEN, canvas_step_message_variation_id=["x"]), "canvas_step_message_variation_id") == ["x"]


def test_columns_that_repeat_the_folders_are_no_fields() -> None:
    folders = {"date": "2026-11-23-08", "version": "1"}
    normalised = run(OPEN, folders, date=["2026-11-23-08"] * 2, version=pa.array([1, 1], pa.int32()), kept=["x", "y"])
    assert sorted(normalised.events.frame.columns) == ["id", "kept", "time"]


def test_a_column_that_only_has_the_name_of_a_folder_stays() -> None:
    folders = {"date": "2026-11-23-08", "version": "1"}
    normalised = run(OPEN, folders, date=["2026-11-23-08", "tomorrow"])
    assert values(normalised, "date") == [None, "tomorrow"]
    assert values(run(ABORT, folders, version=["1"]), "version") == ["1"], "Braze documents it for this type"


@given(st.lists(st.sampled_from(["1", "2", "3.1", None]), min_size=1, max_size=12), st.booleans())
def test_what_repeats_a_folder_becomes_null_and_nothing_else_changes(
    versions: list[str | None], as_dictionary: bool
) -> None:
    column = pa.array(versions, pa.string())
    normalised = run(OPEN, {"version": "1"}, version=column.dictionary_encode() if as_dictionary else column)
    expected = [None if each == "1" else each for each in versions]
    assert values(normalised, "version") == expected if any(expected) else "version" not in normalised.events.frame


def test_bytes_are_the_text_that_they_are_and_a_row_that_is_no_text_is_rejected() -> None:
    normalised = run(note=pa.array([b"\xc3\xa9", b"\xff", None]), more=pa.array([b"a", b"b", b"\xfe"]))
    assert values(normalised, "note") == ["é"]
    assert [(each.row, each.code) for each in normalised.rejections] == [(1, "not_utf8"), (2, "not_utf8")]


def test_a_column_that_has_the_name_of_the_envelope_already_fills_the_gaps() -> None:
    both = run(CUSTOM, properties=['{"a":1}', None], custom_properties=['{"b":1}', '{"b":2}'])
    assert values(both, "custom_properties") == ['{"a":1}', '{"b":2}']


def test_own_properties_given_as_a_struct_stay_columns_of_values() -> None:
    normalised = run(CUSTOM, properties=[{"a": 1, "b": None}, None])
    assert values(normalised, "custom_properties") == [{"a": 1, "b": None}, None]
    assert normalised.events.json_columns == frozenset()


def test_the_column_names_the_type_before_the_key_does() -> None:
    groups = dict(by_event_type(frame(event_type=["a", None, "", "b", "a"], x=[0, 1, 2, 3, 4]), "key"))
    assert {name: rows["x"].tolist() for name, rows in groups.items()} == {"a": [0, 4], "key": [1, 2], "b": [3]}
    assert all("event_type" not in rows for rows in groups.values())


def test_rows_that_nothing_names_are_told_apart() -> None:
    groups = dict(by_event_type(frame(event_type=["a", None], x=[0, 1]), None))
    assert {name: rows["x"].tolist() for name, rows in groups.items()} == {"a": [0], MISSING: [1]}
    assert [name for name, _ in by_event_type(frame(x=[0]), None)] == [MISSING]
    assert [name for name, _ in by_event_type(frame(x=[0]), "key")] == ["key"]


def test_an_event_type_that_can_not_be_sent_costs_its_rows() -> None:
    column = [b"a", b"\xff", None, b"x" * 129, b"x" * 128, "é".encode() * 128]
    groups = dict(by_event_type(frame(event_type=column, x=range(6)), None))
    found = {name: rows["x"].tolist() for name, rows in groups.items()}
    assert found == {"a": [0], NOT_UTF8: [1], MISSING: [2], TOO_LONG: [3], "x" * 128: [4], "é" * 128: [5]}


@pytest.mark.parametrize(("named", "found"), [("x" * 129, TOO_LONG), ("half \ud800", NOT_UTF8), ("", MISSING)])
def test_so_does_one_that_the_key_or_the_schema_names(named: str, found: object) -> None:
    assert [name for name, _ in by_event_type(frame(x=[0]), named)] == [found]


def test_an_event_type_that_is_no_text_is_none() -> None:
    assert [name for name, _ in by_event_type(frame(event_type=[{"a": 1}], x=[0]), "key")] == ["key"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[b"ok"], [b"ok", b"\xff"], None], pa.list_(pa.binary())),
        pa.array([[b"ok"], [b"\xff"], None], pa.large_list(pa.large_binary())),
        pa.array([[b"ok"], [b"\xff"], None], pa.list_(pa.binary(), 1)),
        pa.array([{"a": b"ok"}, {"a": b"\xff"}, None], pa.struct({"a": pa.binary()})),
        pa.array([[("k", b"ok")], [(b"\xff", b"ok")], None], pa.map_(pa.binary(), pa.binary())),
        pa.array([[{"a": [b"ok"]}], [{"a": [b"\xff"]}], None], pa.list_(pa.struct({"a": pa.list_(pa.binary())}))),
    ],
    ids=lambda column: str(column.type),
)
@pytest.mark.parametrize("name", ["list", "properties", "version"])
def test_bytes_inside_a_value_that_are_not_utf8_cost_their_row(name: str, column: pa.Array) -> None:
    rows = pd.DataFrame({name: pd.arrays.ArrowExtensionArray(column)}).assign(
        id=pd.array(["a", "b", "c"], pd.ArrowDtype(pa.string())), time=pd.array([1, 2, 3], pd.ArrowDtype(pa.int64()))
    )
    found = normalise(rows, CUSTOM, {"version": "1"})
    assert [(each.row, each.code) for each in found.rejections] == [(1, "not_utf8")]
    assert found.events.frame.index.tolist() == [0, 2]
    assert "\ufffd" not in str(concat(*encode(found.events, Counter())).to_pylist())


@pytest.mark.parametrize("as_dictionary", [False, True])
def test_rows_of_a_slice_become_what_they_become_in_the_whole(as_dictionary: bool) -> None:
    texts = [f'{{"n":"é {row}"}}' if row % 3 else "[REDACTED]" for row in range(12)]
    columns = {"id": pa.array([f"id{row}" for row in range(12)]), "name": pa.array(list("abcdefghijkl"))}
    columns |= {"properties": pa.array(texts), "price": pa.array([row / 4 for row in range(12)])}
    if as_dictionary:
        columns = {name: values.dictionary_encode() if name != "price" else values for name, values in columns.items()}
    batch = pa.record_batch({**columns, "time": pa.array(range(12))})

    def encoded(part: pa.RecordBatch) -> list[str]:
        named = zip(part.schema.names, map(pd.arrays.ArrowExtensionArray, part.columns), strict=True)
        events = normalise(pd.DataFrame(dict(named)), CUSTOM, {}).events
        return list(concat(*encode(events, Counter())).to_pylist())

    whole = encoded(batch)
    assert len(set(whole)) == 12
    for start, length in [(1, 11), (5, 3), (11, 1), (0, 4)]:
        assert encoded(batch.slice(start, length)) == whole[start : start + length]
