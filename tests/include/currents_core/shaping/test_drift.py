from __future__ import annotations

import json

import pandas as pd
import pyarrow as pa
import pytest

from currents_core.catalog import catalog
from currents_core.shaping.drift import drift
from tests.tools.airflow_env import ROOT
from tests.tools.sample import make_rows

HOUR, OPEN = "2026-11-23-08", "users.messages.email.Open"


def published(event_type: str) -> str:
    """The version of a schema as `docs/schemas/` has it."""
    path = ROOT / "docs" / "schemas" / f"{event_type}.json"
    return str(json.loads(path.read_text("utf-8"))["x-currents-schema-version"])


def found(table: pa.Table, event_type: str = OPEN) -> list[str]:
    return list(drift(table.to_pandas(types_mapper=pd.ArrowDtype), event_type))


@pytest.mark.parametrize("event_type", [name for name, each in catalog().items() if each.stored])
def test_documented_files_differ_in_nothing(event_type: str) -> None:
    table = make_rows(event_type, 20, hour=HOUR)
    assert found(table, event_type) == []
    encoded = [column.dictionary_encode() if pa.types.is_string(column.type) else column for column in table.columns]
    assert found(pa.table(encoded, names=table.column_names), event_type) == []


def test_new_missing_and_changed_fields_are_told() -> None:
    table = make_rows(OPEN, 3, hour=HOUR).drop_columns(["user_agent"])
    table = table.append_column("brand_new", pa.array(["x", None, None]))
    table = table.append_column("never_filled", pa.array([None, None, None], pa.string()))
    place = table.column_names.index("machine_open")
    table = table.set_column(place, "machine_open", pa.array([1, 2, 3]))
    assert found(table) == [
        "new field brand_new",
        f"field machine_open is int64, but documented as {catalog()[OPEN].fields['machine_open'].type}",
        "field user_agent is missing",
        f"schema version {published(OPEN)}",
    ]


def test_an_event_type_that_is_not_documented_is_told_and_nothing_of_its_fields() -> None:
    assert found(pa.table({"id": ["a"], "x": [1]}), "users.brand.New") == ["undocumented event type"]


def test_an_event_type_that_files_should_not_hold_has_no_version_of_a_schema() -> None:
    event_type = "users.messages.newsfeedcard.Click"
    assert not catalog()[event_type].stored
    lines = found(pa.table({"id": ["a"], "brand_new": [1]}), event_type)
    assert "new field brand_new" in lines
    assert not [line for line in lines if line.startswith("schema version")]


def test_a_timestamp_is_what_converters_make_of_time() -> None:
    table = make_rows(OPEN, 1, hour=HOUR)
    place = table.column_names.index("time")
    assert found(table.set_column(place, "time", pa.array([0], pa.timestamp("us")))) == []


def test_a_list_of_something_else_than_text_is_told() -> None:
    inbound = "users.messages.whatsapp.InboundReceive"
    table = make_rows(inbound, 1, hour=HOUR)
    place = table.column_names.index("media_urls")
    for kind in (pa.large_list(pa.binary()), pa.list_(pa.null())):
        assert found(table.set_column(place, "media_urls", pa.array([None], kind)), inbound) == []
    for numbers in (pa.array([[1]]), pa.array(["a"])):
        line, version = found(table.set_column(place, "media_urls", numbers), inbound)
        assert version == f"schema version {published(inbound)}"
        assert line == f"field media_urls is {numbers.type}, but documented as array<string>"
