"""The schemas, against events that went the real way from a file, and against documents that no export sends."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from functools import cache
from typing import Any, get_args

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from currents_core.catalog import RENAMED, SPLIT_INTO, Field, envelope_name
from currents_core.mode import Mode
from currents_core.reading.read import read
from currents_core.setup.settings import PersonalDataRule
from currents_core.shaping.drift import drift
from currents_core.shaping.encode import encode
from currents_core.shaping.event_schema import VERSION, event_schema, schema_text, schema_version, stored_types
from currents_core.shaping.json_text import concat
from currents_core.shaping.normalise import by_event_type, normalise
from currents_core.shaping.personal_data import PersonalData
from tests.tools.sample import make_files, on_disk, stored_fields

HOUR, SOURCE = "2026-11-23-08", "braze.currents"
CUSTOM, PURCHASE, OPEN = "users.behaviors.CustomEvent", "users.behaviors.Purchase", "users.messages.email.Open"
LOCATION, BANNER = "users.behaviors.Location", "users.messages.banner.Click"
INBOUND, AGENT = "users.messages.whatsapp.InboundReceive", "agentconsole.AgentExecuted"
STORED = stored_types()
# The most that CreateSchema takes.
LONGEST = 100_000


@cache
def validator(event_type: str) -> Draft4Validator:
    return Draft4Validator(event_schema(event_type, SOURCE))


def event(event_type: str, detail: Any) -> dict[str, Any]:
    """The event as EventBridge delivers it."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": event_type,
        "source": SOURCE,
        "account": "123456789012",
        "time": "2026-11-23T08:00:01Z",
        "region": "eu-central-1",
        "resources": ["arn:aws:s3:::bucket/key"],
        "detail": detail,
    }


def faults(event_type: str, detail: Any) -> list[str]:
    found = validator(event_type).iter_errors(event(event_type, detail))
    return [f"{each.json_path}: {each.message}" for each in found]


def details(
    frame: pd.DataFrame, event_type: str, rules: PersonalData | None = None, mode: Mode = "live"
) -> list[dict[str, Any]]:
    """The envelopes that rows become, on the way that a delivery takes."""
    events = normalise(frame, event_type, {}).events
    events = rules.of_events(events) if rules else events
    return [json.loads(json.loads(each)) for each in concat(*encode(events, Counter(), mode)).to_pylist()]


def of_columns(
    event_type: str, rules: PersonalData | None = None, mode: Mode = "live", **columns: pa.Array
) -> dict[str, Any]:
    table = pa.table({"id": ["a"], "time": [1], **columns})
    [found] = details(table.to_pandas(types_mapper=pd.ArrowDtype), event_type, rules, mode)
    return found


def protect(*rules: dict[str, Any]) -> PersonalData:
    return PersonalData([PersonalDataRule.model_validate(rule) for rule in rules], b"a secret")


@pytest.mark.parametrize("event_type", STORED)
def test_a_schema_is_draft_4_and_says_every_field_where_the_envelope_has_it(event_type: str) -> None:
    schema = event_schema(event_type, SOURCE)
    Draft4Validator.check_schema(schema)
    definitions = schema["definitions"]
    envelope = definitions[schema["properties"]["detail"]["$ref"].removeprefix("#/definitions/")]
    said = {
        where: set(definitions[envelope["properties"][where]["$ref"].removeprefix("#/definitions/")]["properties"])
        for where in ("user", "properties")
    }
    expected: dict[str, set[str]] = {"user": set(), "properties": set(), "top": set()}
    for field in stored_fields(event_type):
        expected[field.where].add(envelope_name(event_type, field.name))
    assert said == {where: expected[where] for where in said}
    assert expected["top"] == {"id", "time"}
    assert len(schema_text(schema)) < LONGEST


def test_every_type_that_files_hold_has_a_schema_and_no_other() -> None:
    assert len(STORED) == 94
    for unknown in ("users.messages.newsfeedcard.Click", "users.brand.New"):
        with pytest.raises(KeyError):
            event_schema(unknown, SOURCE)
        with pytest.raises(KeyError):
            schema_version(unknown)


@pytest.mark.parametrize("event_type", STORED)
@pytest.mark.parametrize("form", ["parquet", "avro"])
def test_events_of_whole_files_are_valid(event_type: str, form: str) -> None:
    [sample] = make_files([HOUR], [event_type], rows=25)
    sent = []
    with on_disk(sample.body if form == "parquet" else sample.avro()) as path:
        for batch in read(path, "f").batches:
            for _, rows in by_event_type(batch.frame, event_type):
                sent += details(rows, event_type)
    assert len(sent) == 25
    assert [fault for each in sent for fault in faults(event_type, each)] == []


texts = st.text(st.characters(codec="utf-8"), max_size=8)
JSON_TEXTS = st.sampled_from(['{"a": 1.10, "b": {"c": "x"}}', "{}", "", "[1]", "null", "[REDACTED]", '{"cut of', '"a"'])
SHAPES = pa.struct({"a": pa.int64(), "b": pa.string()})
# By documented type: the types of Arrow that drift takes for it, and values of them.
FORMS: dict[str, list[tuple[pa.DataType, st.SearchStrategy[Any]]]] = {
    "string": [
        (pa.string(), texts | JSON_TEXTS),
        (pa.large_string(), texts),
        (pa.dictionary(pa.int32(), pa.string()), texts),
        (pa.binary(), texts.map(str.encode)),
        (pa.null(), st.none()),
    ],
    "int": [
        (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
        (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
        (pa.uint8(), st.integers(0, 255)),
        (pa.null(), st.none()),
    ],
    "float": [
        (pa.float32(), st.floats(width=32)),
        (pa.float64(), st.floats()),
        (pa.decimal128(12, 2), st.decimals(-(10**6), 10**6, places=2)),
        (pa.null(), st.none()),
    ],
    "boolean": [(pa.bool_(), st.booleans()), (pa.null(), st.none())],
    "array<string>": [
        (pa.list_(pa.string()), st.lists(st.none() | texts, max_size=2)),
        (pa.large_list(pa.large_string()), st.lists(st.none() | texts, max_size=2)),
        (pa.list_(pa.binary()), st.lists(texts.map(str.encode), max_size=2)),
        (pa.list_(pa.null()), st.just([None])),
    ],
}
FORMS["long"] = FORMS["int"]
FORMS["json"] = [
    (pa.string(), JSON_TEXTS | texts),
    (pa.dictionary(pa.int32(), pa.string()), JSON_TEXTS),
    (SHAPES, st.fixed_dictionaries({"a": st.none() | st.integers(0, 9), "b": st.none() | texts})),
    (
        pa.map_(pa.string(), pa.string()),
        st.dictionaries(texts, st.none() | texts, max_size=2).map(dict.items).map(list),
    ),
]
TIMES = st.sampled_from([(pa.int32(), 1_795_420_801), (pa.int64(), 1_795_420_801), (pa.timestamp("us"), 0)])
ACTIONS = st.sampled_from(["drop", "redact", "hash"])
POINTERS = ["/a", "/b/c", "/message_extras/a", "/flow_response_json/a", "/media_urls/0", "/custom_attributes/b/c"]


def rules_for(event_type: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rules under which an event must stay valid: those of fields of one's own only name fields that are text."""
    text_fields = [field for field in stored_fields(event_type) if field.type == "string" and field.where != "top"]
    names = [envelope_name(event_type, field.name) for field in text_fields]
    one = st.one_of(
        st.fixed_dictionaries({"action": ACTIONS, "catalog": st.just(value=True)}),
        st.fixed_dictionaries({"action": ACTIONS, "fields": st.lists(st.sampled_from(names), min_size=1, max_size=2)}),
        st.fixed_dictionaries({"action": ACTIONS, "pointers": st.lists(st.sampled_from(POINTERS), min_size=1)}),
    )
    return st.lists(one, max_size=3)


@st.composite
def columns(draw: st.DrawFn, event_type: str) -> pa.Table:
    """Three rows of some documented fields of a type, and one field of the customer's own."""
    fields = [field for field in stored_fields(event_type) if field.where != "top"]
    time_type, time = draw(TIMES)
    made = {"id": pa.array(["a", "b", "c"]), "time": pa.array([time] * 3, time_type)}
    for field in draw(st.lists(st.sampled_from(fields), max_size=8, unique_by=lambda each: each.name)):
        made[field.name] = draw(column(field))
    made["brand_new"] = draw(
        column(Field("brand_new", draw(st.sampled_from(sorted(FORMS))), True, "", False, True, True))
    )
    return pa.table(made)


@st.composite
def column(draw: st.DrawFn, field: Field) -> pa.Array:
    kind, values = draw(st.sampled_from(FORMS[field.type]))
    return pa.array([draw(st.none() | values) for _ in range(3)], kind)


ODD = [CUSTOM, PURCHASE, LOCATION, BANNER, OPEN, INBOUND, AGENT]


@given(st.data(), st.sampled_from(ODD) | st.sampled_from(STORED), st.sampled_from(get_args(Mode)))
def test_events_are_valid_where_drift_tells_no_other_type(data: st.DataObject, event_type: str, mode: Mode) -> None:
    frame = data.draw(columns(event_type)).to_pandas(types_mapper=pd.ArrowDtype)
    assert [line for line in drift(frame, event_type) if "documented as" in line] == []
    sent = details(frame, event_type, protect(*data.draw(rules_for(event_type))), mode)
    assert [fault for each in sent for fault in faults(event_type, each)] == []
    assert all(("currents_export" in each) == (mode != "live") for each in sent)


@pytest.mark.parametrize("action", ["redact", "hash"])
@pytest.mark.parametrize("event_type", STORED)
def test_what_the_catalog_marks_may_be_redacted_or_hashed(event_type: str, action: str) -> None:
    [sample] = make_files([HOUR], [event_type], rows=5)
    frame = sample.table.to_pandas(types_mapper=pd.ArrowDtype)
    sent = details(frame, event_type, protect({"action": action, "catalog": True}))
    assert [fault for each in sent for fault in faults(event_type, each)] == []


@pytest.mark.parametrize(
    ("event_type", "name", "value", "documented"),
    [
        (PURCHASE, "price", 3.14, "number"),
        (PURCHASE, "ad_tracking_enabled", True, "boolean"),
        (INBOUND, "media_urls", ["a"], "array"),
    ],
)
def test_what_only_a_rule_of_ones_own_redacts_is_as_documented(
    event_type: str, name: str, value: Any, documented: str
) -> None:
    sent = of_columns(event_type, protect({"action": "redact", "fields": [name]}), **{name: pa.array([value])})
    expected = f"$.detail.properties.{name}: '[REDACTED]' is not of type '{documented}'"
    assert faults(event_type, sent) == [expected]


@pytest.mark.parametrize(
    ("event_type", "sent"),
    [
        (PURCHASE, {"price": pa.array([Decimal("1.10")])}),
        (PURCHASE, {"price": pa.array([3], pa.int64())}),
        (PURCHASE, {"price": pa.array([float("nan")])}),
        (PURCHASE, {"properties": pa.array(["[REDACTED]"])}),
        (PURCHASE, {"properties": pa.array([{"size": "M"}])}),
        (CUSTOM, {"properties": pa.array(['{"n": 9876543210987654321}'])}),
        (BANNER, {"canvas_step_message_variation_id": pa.array(["v"])}),
        (OPEN, {"undocumented": pa.array([{"x": [1, None]}])}),
    ],
)
def test_events_of_other_writers_are_valid(event_type: str, sent: dict[str, pa.Array]) -> None:
    assert faults(event_type, of_columns(event_type, **sent)) == []


GOOD: dict[str, Any] = {"event_type": PURCHASE, "id": "a", "time": 1, "user": {}, "properties": {}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"event_type": OPEN},
        {"id": ""},
        {"id": 7},
        {"time": "2026-11-23T08:00:01Z"},
        {"time": 1.5},
        {"time": None},
        {"user": []},
        {"user": {"user_id": 7}},
        {"properties": None},
        {"properties": {"price": "3.14"}},
        {"properties": {"price": None}},
        {"properties": {"ad_tracking_enabled": "true"}},
        {"properties": {"purchase_properties": [1]}},
        {"currents_export": {"mode": "live"}},
        {"currents_export": {}},
        {"currents_export": {"claim_check": {"bucket": "b", "key": "k", "bytes": "1", "sha256": "0"}}},
        {"currents_export": {"claim_check": {"bucket": "b", "key": "k", "bytes": 1}}},
    ],
)
def test_what_no_export_sends_is_not_valid(wrong: dict[str, Any]) -> None:
    assert faults(PURCHASE, GOOD) == []
    assert len(faults(PURCHASE, {**GOOD, **wrong})) == 1


@pytest.mark.parametrize("name", GOOD)
def test_what_is_always_there_is_required(name: str) -> None:
    left = {key: value for key, value in GOOD.items() if key != name}
    assert faults(PURCHASE, left) == [f"$.detail: '{name}' is a required property"]


@pytest.mark.parametrize(
    ("event_type", "properties", "is_valid"),
    [
        (INBOUND, {"media_urls": ["a", None]}, True),
        (INBOUND, {"media_urls": [1]}, False),
        (INBOUND, {"media_urls": "a"}, False),
        (AGENT, {"cache_tokens": 2**63 - 1}, True),
        (AGENT, {"cache_tokens": 1.5}, False),
        (AGENT, {"cache_hit": 1}, False),
    ],
)
def test_types_are_told_apart(event_type: str, properties: dict[str, Any], is_valid: bool) -> None:
    found = faults(event_type, {**GOOD, "event_type": event_type, "properties": properties})
    assert (found == []) == is_valid


def test_the_detail_type_is_that_of_the_schema() -> None:
    assert list(validator(PURCHASE).iter_errors(event(PURCHASE, GOOD))) == []
    [fault] = validator(PURCHASE).iter_errors(event(OPEN, GOOD))
    assert fault.json_path == "$['detail-type']"


def test_personal_data_is_marked_for_people_and_for_tools() -> None:
    marked_fields = 0
    for name in STORED:
        definitions = event_schema(name, SOURCE)["definitions"]
        said = {key: each for part in definitions.values() for key, each in part["properties"].items()}
        for field in stored_fields(name):
            is_marked = said[envelope_name(name, field.name)].get("x-personal-data", False)
            assert is_marked == field.personal
            assert ("Personal data." in said[envelope_name(name, field.name)].get("description", "")) == field.personal
            marked_fields += field.personal
    assert marked_fields > 100


def test_the_version_is_that_of_the_content_whatever_the_source() -> None:
    versions = {name: event_schema(name, SOURCE)[VERSION] for name in STORED}
    assert versions == {name: schema_version(name) for name in STORED}
    assert len(set(versions.values())) == len(STORED)
    other = event_schema(PURCHASE, "acme/braze")
    assert other["x-amazon-events-source"] == "acme/braze"
    assert other[VERSION] == versions[PURCHASE]


def test_names_of_definitions_are_of_one_type_alone() -> None:
    names = [name for each in STORED for name in event_schema(each, SOURCE)["definitions"]]
    titles = [event_schema(each, SOURCE)["title"] for each in STORED]
    counted = Counter([*names, *titles])
    assert counted.pop("CurrentsExport") == len(STORED)
    assert set(counted.values()) == {1}
    assert all(name.isidentifier() for name in counted)


def test_the_odd_types_are_all_tried() -> None:
    assert set(SPLIT_INTO) | {BANNER} <= set(ODD)
    assert BANNER in RENAMED
