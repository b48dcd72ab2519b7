"""Every key misspelled and every value of a wrong type: each is told with its line, in our words, and harms its own."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from currents_core.setup.connectors_file import Connectors, load_connectors
from tests.include.currents_core.setup.test_connectors_file import GOOD

Path_ = tuple[str | int, ...]

FULL: dict[str, Any] = {
    "name": "full",
    "source": {"bucket": "braze-in", "prefix": "in", "aws_conn_id": "aws_default"},
    "destination": {
        "kind": "event_bus",
        "name": "bus",
        "region": "us-east-1",
        "aws_conn_id": "aws_default",
        "source": "braze.currents",
        "limits": {"entries_per_request": 5, "bytes_per_request": 262144, "bytes_per_entry": 262144},
    },
    "state": {"bucket": "state", "prefix": "export", "aws_conn_id": "aws_default"},
    "event_types": {"include": ["users.*"], "exclude": ["users.canvas.*"]},
    "filter": [
        {"field": "country", "in": ["US", "NO"], "undocumented": False},
        {"field": "price", "at_least": 1.5, "at_most": 10.5},
        {"field": "gender", "not_in": ["x"]},
        {"field": "currency", "is_null": False},
    ],
    "personal_data": {
        "hash_key_conn_id": "key",
        "rules": [
            {"action": "hash", "fields": ["user_id"], "event_types": {"include": ["users.behaviors.*"]}},
            {"action": "redact", "catalog": True},
            {"action": "drop", "pointers": ["/email"]},
        ],
    },
    "broken_properties": "keep",
    "schedule": {"delay_minutes": 20, "catchup": False, "start": "2026-01-01"},
    "lookback_hours": 72,
    "budget": {
        "share_of_quota": 0.5,
        "requests_per_second": 10.5,
        "entries_per_second": 10.5,
        "slots": 4,
        "backfill_slots": 2,
        "price_per_million_events": 1.5,
    },
    "notify": {
        "on_failure": [{"notifier": "a.b.C", "arguments": {"x": 1}}],
        "on_missed_deadline": [{"notifier": "a.b.C"}],
        "deadline_minutes": 60,
    },
    "mark_backfills": True,
}
MAY_BE_NULL = {
    "aws_conn_id",
    "entries_per_request",
    "bytes_per_request",
    "bytes_per_entry",
    "requests_per_second",
    "entries_per_second",
    "at_least",
    "at_most",
}
WRONG: dict[type, list[Any]] = {
    str: [True, 3, 2.5, [], ["a"], {}, {"a": 1}, None],
    bool: ["true", "yes", 0, 2.5, [], {}, None],
    int: ["3", True, 2.5, [], {}, None],
    float: ["3.5", True, [], {}, None],
    list: ["a", 3, True, {"a": 1}, None],
    dict: ["a", 3, True, ["a"], None],
}
# How pydantic and Python speak.
FOREIGN = re.compile(
    r"Input should|valid |validation|Extra inputs|Field required|type=|Traceback|Error|pydantic|valid string"
)


def places(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Every place of a document with its value, except the notifiers' own arguments."""
    if path:
        yield path, value
    if path[-1:] != ("arguments",) and isinstance(value, dict | list):
        for step, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(each, (*path, step))


def changed(path: Path_, value: Any, rename: str | None = None) -> dict[str, Any]:
    document = copy.deepcopy(FULL)
    above: Any = document
    for step in path[:-1]:
        above = above[step]
    if rename:
        above[rename] = above.pop(path[-1])
    else:
        above[path[-1]] = value
    return document


def loaded(folder: Path, document: Any) -> Connectors:
    """What a file holds in which the document stands beside a good connector, which stays in service."""
    path = folder / "connectors.yaml"
    text = yaml.safe_dump([document], sort_keys=False)
    path.write_text(f"connectors:{GOOD}" + "".join(f"  {line}\n" for line in text.splitlines()))
    found = load_connectors(path)
    assert "good" in found.valid
    for fault in found.faults:
        assert re.match(r"line \d+, connectors\[1\]", fault), fault
        assert not FOREIGN.search(fault), fault
        assert "\n" not in fault
    return found


def test_the_full_document_is_valid(tmp_path: Path) -> None:
    assert loaded(tmp_path, FULL).faults == ()


def misspellings(key: str) -> list[str]:
    return [f"{key}s", key[0] + key, f"{key[:-2]}{key[-1]}{key[-2]}", key[:1] + key[2:]]


KEYS = [path for path, _ in places(FULL) if isinstance(path[-1], str)]


@pytest.mark.parametrize("path", KEYS, ids=lambda path: ".".join(map(str, path)))
def test_a_misspelled_key_is_told_with_what_was_meant(tmp_path: Path, path: Path_) -> None:
    key = str(path[-1])
    for wrong in set(misspellings(key)) - {key}:
        faults = loaded(tmp_path, changed(path, None, rename=wrong)).faults
        assert any(f".{wrong}: there is no such key" in fault for fault in faults), (wrong, faults)
        if len(key) > 3:
            assert any(f"did you mean `{key}`?" in fault for fault in faults), (wrong, faults)


@pytest.mark.parametrize("path", [path for path, _ in places(FULL)], ids=lambda path: ".".join(map(str, path)))
def test_a_value_of_a_wrong_type_is_told(tmp_path: Path, path: Path_) -> None:
    value = dict(places(FULL))[path]
    wrong = [each for each in WRONG[type(value)] if each is not None or path[-1] not in MAY_BE_NULL]
    for each in wrong:
        found = loaded(tmp_path, changed(path, each))
        assert found.faults, each
        assert list(found.valid) == ["good"]


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("destination", "kind"), "event_buss", "not one of the choices; did you mean `event_bus`?"),
        (("broken_properties",), "dead-letter", "did you mean `dead_letter`?"),
        (("personal_data", "rules", 0, "action"), "hsah", "did you mean `hash`?"),
        (("schedule", "start"), "2026-02-31", "schedule.start: not a day of the calendar; expected: the first day"),
        (("schedule", "start"), "1700000000", "not a day of the calendar"),
        (("source", "aws_conn_id"), "", "too short; expected: an Airflow connection id, or null"),
        (("source", "bucket"), "bucket\n", "expected: the name of an S3 bucket"),
        (("source", "bucket"), 12345, "source.bucket: must be text; put it in quotes; expected: the name of an S3"),
        (("source", "prefix"), "a\x1bb", "the prefix contains a control character"),
        (("lookback_hours",), 745, "lookback_hours: out of range; expected: whole hours, 0 to 744"),
        (("budget", "share_of_quota"), 10**300, "budget.share_of_quota: out of range"),
        (("mark_backfills",), "yes", "must be true or false, without quotes"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_expected(tmp_path: Path, path: Path_, value: Any, complaint: str) -> None:
    found = loaded(tmp_path, changed(path, value))
    assert complaint in found.report()
    assert list(found.valid) == ["good"]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(SCALARS, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=4), each))


@given(st.sampled_from([path for path, _ in places(FULL)]), VALUES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_value_is_nothing_but_its_connector_is_out_of_service(
    tmp_path: Path, path: Path_, value: Any
) -> None:
    found = loaded(tmp_path, changed(path, value))
    assert bool(found.faults) == (len(found.valid) == 1)
