"""Whatever the rules, the rows and their JSON: what a rule covers leaves in no event, letter, sample, log or error."""

from __future__ import annotations

import gzip
import json
import logging
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from currents_aws.dry_run import DryRunTarget
from currents_aws.memory import MemoryTarget
from currents_core.delivering.deliver import Delivery
from currents_core.errors import CurrentsError
from currents_core.file_key import by_slice
from currents_core.limits import Limits
from currents_core.setup.settings import PersonalDataRule
from currents_core.shaping.personal_data import PersonalData
from tests.tools.house import House

CUSTOM, OPEN = "users.behaviors.CustomEvent", "users.messages.email.Open"
CANARY = "canary-7f3a"
LIMITS = Limits(entries_per_request=10, bytes_per_request=1_000_000, bytes_per_entry=1_200)

names = st.sampled_from(["a", "b", "0", "1", "-", "", "a/b", "~", "é"])
paths = st.lists(names, min_size=1, max_size=3).map(tuple)
actions = st.sampled_from(["drop", "redact", "hash"])
patterns = st.sampled_from([{}, {"include": [CUSTOM]}, {"include": ["users.messages.*"]}])


def pointer(path: tuple[str, ...]) -> str:
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in path)


def holding(path: tuple[str, ...], draw: st.DrawFn) -> str:
    """A JSON text with a canary at ``path``, written in one of the ways in which JSON can be."""
    if not path:
        return draw(st.sampled_from([f'"{CANARY}"', f'["{CANARY}"]', f'{{"x":"{CANARY}"}}']))
    step, inner = path[0], holding(path[1:], draw)
    way = draw(st.sampled_from(["object", "escaped", "twice", "array", "string", "cut", "shape"]))
    if way == "array" and step in {"0", "1"}:
        return f"[{'0,' * int(step)}{inner},2]"
    if way == "string" and len(path) > 1:
        inner = json.dumps(inner)
    if way == "shape" and len(path) > 1:
        inner = f'"{CANARY}"'
    key = "".join(f"\\u{ord(each):04x}" for each in step) if way == "escaped" else step
    if way == "twice":
        return f'{{"{key}":{inner},"y":1,"{key}":{draw(st.sampled_from(["1", "{}", "null", inner]))}}}'
    return f'{{"n":1.10,"{key}":{inner}}}'[: -1 if way == "cut" else None]


def nested(path: tuple[str, ...], text: pa.DataType, draw: st.DrawFn) -> tuple[Any, pa.DataType]:
    """A value with a canary at ``path``, and its type: a struct, a map or a list, down to a JSON text in ``text``."""
    way = draw(st.sampled_from(["text", "text", "struct", "map", "list"])) if path else "text"
    if way == "text":
        return holding(path, draw), text
    value, kind = nested(path[1:], text, draw)
    if way == "list" and path[0] in {"0", "1"}:
        return [None] * int(path[0]) + [value], pa.list_(kind)
    if way == "map":
        return [(path[0], value)], pa.map_(pa.string(), kind)
    return {path[0]: value}, pa.struct({path[0]: kind})


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[dict[str, Any]], str | None, dict[str, pa.Array]]:
    """Rules, the event type of three rows, and columns with a canary in each place that one of the rules covers."""
    event_type, text = draw(st.sampled_from([CUSTOM, OPEN, None])), draw(st.sampled_from([pa.string(), pa.binary()]))
    rules: list[dict[str, Any]] = []
    columns: dict[str, pa.Array] = {}
    for number in range(draw(st.integers(1, 4))):
        wanted = draw(patterns)
        kind = draw(st.sampled_from(["field", "own", "column", "catalog"]))
        applies = event_type is None or PersonalDataRule.model_validate(
            {"action": "drop", "fields": ["x"], "event_types": wanted}
        ).event_types.wants(event_type)
        rule: dict[str, Any] = {"action": draw(actions), "event_types": wanted}
        if kind == "field":
            name = draw(st.sampled_from(["properties", "custom_properties", "email_subject", f"own{number}"]))
            rule["fields"], column = [name], "properties" if name == "custom_properties" else name
            value, form = nested(("z",), text, draw)
            applies &= name != "custom_properties" or event_type != OPEN
        elif kind == "catalog":
            rule["catalog"], column, value, form = True, "email_address", CANARY, text
        else:
            path = draw(paths)
            column = "properties" if kind == "own" else f"own{number}"
            rule["pointers"] = [pointer(path if kind == "own" else (column, *path))]
            value, form = nested(path, text, draw)
            applies &= kind == "column" or event_type != OPEN
        rules.append(rule)
        if applies:
            columns.setdefault(column, pa.array([value] * 3, form))
    return rules, event_type, columns


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases())
def test_no_canary_leaves(
    case: tuple[list[dict[str, Any]], str | None, dict[str, pa.Array]], caplog: pytest.LogCaptureFixture
) -> None:
    rules, event_type, columns = case
    caplog.set_level(logging.DEBUG)
    protection = PersonalData([PersonalDataRule.model_validate(rule) for rule in rules], b"key")
    # A row that goes, one without an id, and one that is too large to go.
    large = "x" * 2_000
    rows: dict[str, Any] = {
        "id": ["one", None, "three"],
        "time": [1, 2, 3],
        "event_type": [event_type] * 3,
        "blob": ["", "", large],
    }
    table = pa.table({**rows, "event_type": pa.array(rows["event_type"], pa.string()), **columns})
    told: list[str] = []
    for target in (MemoryTarget(), DryRunTarget(LIMITS)):
        target.limits = LIMITS
        house = House(target)  # type: ignore[arg-type]
        house.personal_data = protection
        delivery: Delivery = house.delivery()
        try:
            account = delivery.deliver(by_slice([house.put(None, "a.parquet", table)]))
            assert account.totals.read == 3
        except CurrentsError as error:
            told.append(str(error))
        told += [
            gzip.decompress(body).decode()
            for key, body in house.state.contents.items()
            if key.endswith((".letters", ".files"))
        ]
        told += [repr(body) for body in house.state.contents.values()]
        if isinstance(target, DryRunTarget):
            told.append(repr(target.forecast.as_json()))
        else:
            told += [repr(entry) for entry in target.accepted]
    told += [repr(record.__dict__) for record in caplog.records]
    caplog.clear()
    assert not [each for each in told if CANARY in each]


def test_pointers_reach_into_the_maps_of_dead_letters() -> None:
    house = House()
    rule = {"action": "drop", "pointers": ["/own/a/b"]}
    house.personal_data = PersonalData([PersonalDataRule.model_validate(rule)])
    kind = pa.map_(pa.string(), pa.map_(pa.string(), pa.string()))
    own = pa.array([[("a", [("b", CANARY), ("c", "kept")])]], kind)
    file = house.put(OPEN, "a.parquet", pa.table({"id": pa.array([None], pa.string()), "time": [1], "own": own}))
    house.deliver(file)
    [letter] = house.letters(file)
    assert letter["record"]["own"] == '{"a":{"c":"kept"}}'
