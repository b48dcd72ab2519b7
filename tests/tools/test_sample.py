from __future__ import annotations

import json
from collections import Counter
from io import BytesIO

import fastavro
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from currents_core.catalog import Field, catalog
from currents_core.errors import SetupError
from currents_core.file_key import SourceFile
from currents_core.hour import parse_hour
from tests.tools.sample import ARROW, make_files, make_key, make_rows, stored_fields

HOUR = "2026-11-23-08"
OPEN = "users.messages.email.Open"
STORED = [name for name, event_type in catalog().items() if event_type.stored]
MADE_UP = "users.messages.telepathy.Send"


def made_up_fields() -> list[Field]:
    """Fields of every type, one of them with a documented name and another type."""
    types = {"id": "string", "time": "long", "currency": "int"} | {f"new_{kind}": kind for kind in ARROW}
    return [
        Field(name, kind, name not in ("id", "time"), "properties", personal=False, stored=True, published=True)
        for name, kind in types.items()
    ]


@pytest.mark.parametrize("event_type", STORED)
def test_every_stored_type_can_be_made_with_its_documented_fields(event_type: str) -> None:
    table = make_rows(event_type, 50, hour=HOUR)
    fields = [field for field in catalog()[event_type].fields.values() if field.stored]
    assert len(set(table["id"].to_pylist())) == 50
    assert table.schema == pa.schema([(field.name, ARROW[field.type]) for field in fields])
    assert [field.name for field in fields if not field.nullable and table[field.name].null_count] == []
    table.validate(full=True)


@pytest.mark.parametrize("event_type", ["users.messages.newsfeedcard.Click", "no.such.Type"])
def test_types_that_are_never_stored_are_refused_by_name(event_type: str) -> None:
    with pytest.raises(ValueError, match=event_type):
        make_rows(event_type, 1, hour=HOUR)


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others() -> None:
    first, again, other = (
        [file.body for file in make_files([HOUR], STORED[:3], rows=40, repeat=0.1, seed=seed)] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@given(files=st.integers(1, 3), rows=st.integers(1, 60), repeat=st.floats(0, 0.9), seed=st.integers())
def test_repeats_are_whole_rows_and_counted_over_the_files_of_a_type_and_hour(
    files: int, rows: int, repeat: float, seed: int
) -> None:
    repeats = round(rows * repeat)
    assume(repeats < rows)
    made = list(make_files([HOUR], [OPEN], files=files, rows=rows, repeat=repeat, seed=seed))
    ids = Counter(each for file in made for each in file.table["id"].to_pylist())
    events = {repr(row) for file in made for row in file.table.to_pylist()}
    assert [(file.table.num_rows, file.repeats) for file in made] == [(rows, repeats)] * files
    assert sum(file.distinct_ids for file in made) == len(ids) == len(events)


def test_repeats_cross_files_but_neither_types_nor_hours() -> None:
    made = make_files([HOUR, "2026-11-23-09"], STORED[:2], files=2, rows=200, repeat=0.2)
    first, second, *others = [set(file.table["id"].to_pylist()) for file in made]
    assert first & second
    assert all((first | second).isdisjoint(other) for other in others)


@pytest.mark.parametrize("repeat", [1.0, -0.1, 0.99])
def test_a_share_that_leaves_no_new_row_is_refused(repeat: float) -> None:
    with pytest.raises(ValueError, match=f"repeat={repeat} of 10 rows"):
        next(make_files([HOUR], [OPEN], rows=10, repeat=repeat))


def test_files_may_be_empty() -> None:
    [file] = make_files([HOUR], [OPEN], rows=0)
    assert (file.table.num_rows, file.distinct_ids) == (0, 0)


def test_a_late_file_is_another_file_of_its_hour() -> None:
    [early] = make_files([HOUR], ["users.messages.email.Open"], rows=20)
    [late] = make_files([HOUR], ["users.messages.email.Open"], rows=20, first=1)
    assert early.key != late.key
    assert not set(early.table["id"].to_pylist()) & set(late.table["id"].to_pylist())


@pytest.mark.parametrize("old_layout", [False, True])
def test_keys_name_type_and_hour_in_both_layouts(old_layout: bool) -> None:
    file = SourceFile("b", make_key("in/", "users.messages.email.Open", HOUR, 0, old_layout=old_layout), "e", 1)
    assert (file.event_type, file.hour) == ("users.messages.email.Open", HOUR)


def test_a_type_may_be_made_up_in_both_formats() -> None:
    fields = made_up_fields()
    [file] = make_files([HOUR], [MADE_UP], rows=40, repeat=0.1, fields=fields)
    assert f"event_type={MADE_UP}/date={HOUR}/" in file.key
    assert file.table.schema == pa.schema([(field.name, ARROW[field.type]) for field in fields])
    assert list(fastavro.reader(BytesIO(file.avro()))) == file.table.to_pylist()


def test_another_set_of_fields_may_stand_for_a_documented_type() -> None:
    fields = [field for field in stored_fields(OPEN) if field.name in ("id", "time")]
    assert make_rows(OPEN, 3, hour=HOUR, fields=fields).column_names == ["id", "time"]


def test_times_are_in_the_hour_or_up_to_three_days_before_it() -> None:
    table = make_rows("users.messages.rcs.Click", 2000, hour=HOUR)
    start = int(parse_hour(HOUR).timestamp())
    offsets = [each - start for each in table["time"].to_pylist()]
    assert -3 * 86_400 <= min(offsets) < 0
    assert max(offsets) < 3600
    assert 0.9 < sum(offset >= 0 for offset in offsets) / len(offsets) < 1


@pytest.mark.parametrize(
    "event_type", [name for name in STORED if "time_ms" in make_rows(name, 0, hour=HOUR).schema.names]
)
def test_both_times_of_a_row_are_the_same_moment(event_type: str) -> None:
    rows = make_rows(event_type, 300, hour=HOUR).select(["time", "time_ms"]).to_pylist()
    assert all(row["time_ms"] is None or row["time_ms"] // 1000 == row["time"] for row in rows)


def test_an_hour_that_is_none_is_refused() -> None:
    with pytest.raises(SetupError, match="is not a valid hour"):
        make_rows(OPEN, 1, hour="2026-11-23")


def test_fields_differ_in_how_often_they_are_null() -> None:
    table = make_rows("users.messages.email.Click", 1000, hour=HOUR)
    rates = {round(column.null_count / 1000, 1) for column in table.columns}
    assert {0.0, 0.3, 0.9} <= rates


@pytest.mark.parametrize("event_type", STORED)
def test_json_fields_hold_objects_and_personal_data_is_fictional(event_type: str) -> None:
    table = make_rows(event_type, 200, hour=HOUR)
    for field in stored_fields(event_type):
        values = [each for each in table[field.name].to_pylist() if each is not None]
        if field.type == "json":
            assert all(isinstance(json.loads(each), dict) for each in values)
        if "email" in field.name:
            assert all(each.endswith("@example.com") for each in values)
        if "phone" in field.name:
            assert all(each.startswith("+1555") for each in values)


def test_lists_hold_nulls() -> None:
    lists = make_rows("users.messages.sms.InboundReceive", 200, hour=HOUR)["media_urls"].to_pylist()
    assert any(each and None in each for each in lists)


def test_the_text_in_it_is_hard_to_encode() -> None:
    table = make_rows("users.behaviors.CustomEvent", 500, hour=HOUR)
    texts = table["properties"].to_pylist()
    own = [json.loads(text) for text in texts]
    assert {} in own
    assert any("1.10" in text for text in texts)
    everything = "".join(str(value) for value in own)
    assert all(hard in everything for hard in ("🎉", "\\n", '"', "さくら", "مرحبا"))
