from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft4Validator

from currents_aws.cbor_wire import CborWire
from currents_aws.json_wire import JsonWire
from currents_core.catalog import SPLIT_INTO
from currents_core.entry import Span, Wire
from currents_core.shaping.event_schema import exported_types, stored_types
from currents_core.shaping.test_event import entries_to_test, id_of_test
from tests.tools.airflow_env import ROOT
from tests.tools.house import connector

NOW = datetime(2026, 11, 28, 14, 0, 1, tzinfo=UTC)
SENDING = "20261128T140001Z-0a1b2c3d"


def details(wire: Wire) -> dict[str, Any]:
    """The envelopes of the test events of all types."""
    found = {}
    for entries in entries_to_test(connector(), wire, SENDING, NOW):
        [entry] = Span(entries, 0, len(entries))
        assert (entry.source, entry.time) == ("braze.currents", int(NOW.timestamp()))
        assert entry.resource == f"arn:aws:s3:::braze/in/test-{SENDING}"
        found[entry.detail_type] = json.loads(entry.detail)
    return found


@pytest.mark.parametrize("wire", [JsonWire(), CborWire("test")])
def test_the_event_of_each_type_is_what_its_published_schema_says_and_has_all_fields(wire: Wire) -> None:
    found = details(wire)
    assert list(found) == stored_types()
    for event_type, detail in found.items():
        schema = json.loads((ROOT / "docs" / "schemas" / f"{event_type}.json").read_text("utf-8"))
        event: dict[str, Any] = {
            "version": "0",
            "id": "1",
            "detail-type": event_type,
            "source": "braze.currents",
            "account": "1",
        }
        event |= {"time": "2026-11-28T14:00:01Z", "region": "us-east-1", "resources": [], "detail": detail}
        assert list(Draft4Validator(schema).iter_errors(event)) == []
        for part, definition in (("user", "User"), ("properties", "Properties")):
            [told] = [each for name, each in schema["definitions"].items() if name.endswith(f"{definition}")]
            assert detail[part].keys() == told.get("properties", {}).keys(), event_type


def test_each_event_says_that_it_is_a_test_and_so_do_its_values() -> None:
    for detail in details(JsonWire()).values():
        assert detail["currents_export"] == {"mode": "test"}
        texts = [value for part in ("user", "properties") for value in detail[part].values() if isinstance(value, str)]
        assert all(text.startswith("test ") or text == '{"test":true}' for text in texts)


def test_json_is_an_object_only_where_it_is_one_in_live_events() -> None:
    found = details(JsonWire())
    assert found["agentconsole.ToolInvocation"]["properties"]["tool_arguments"] == '{"test":true}'
    objects = {
        (event_type, name)
        for event_type, detail in found.items()
        for name, value in detail["properties"].items()
        if isinstance(value, dict)
    }
    assert objects == set(SPLIT_INTO.items())


def test_ids_are_unmistakable_and_none_is_part_of_another() -> None:
    ids = [detail["id"] for detail in details(JsonWire()).values()]
    assert ids == [id_of_test(SENDING, number) for number in range(len(stored_types()))]
    assert ids[7] == "test-20261128T140001Z-0a1b2c3d-0007"
    assert not [each for each in ids for other in ids if each != other and each in other]


def test_only_what_is_exported_is_tested() -> None:
    some = connector(event_types={"include": ["users.messages.email.*"], "exclude": ["*.Click"]})
    assert exported_types(some) == [
        each for each in stored_types() if each.startswith("users.messages.email.") and not each.endswith(".Click")
    ]
    assert exported_types(connector(event_types={"include": ["no.such.Type"]})) == []
