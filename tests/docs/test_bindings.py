"""The typed classes in docs/examples, against their schema and what exports send."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError

from currents_core.shaping.encode import encode
from currents_core.shaping.json_text import concat
from currents_core.shaping.normalise import normalise
from docs.examples.purchase import UsersBehaviorsPurchaseEvent
from tests.tools.airflow_env import ROOT

PURCHASE = "users.behaviors.Purchase"
ROW = {
    "id": ["a"],
    "time": [1_795_420_801],
    "user_id": ["anna"],
    "price": [3.5],
    "currency": ["EUR"],
    "ad_tracking_enabled": [True],
    "brand_new": [7],
}
SCHEMA = json.loads((ROOT / "docs" / "schemas" / f"{PURCHASE}.json").read_text("utf-8"))


def event(properties: str) -> dict[str, Any]:
    """A purchase as EventBridge delivers it, with the envelope that an export makes of a row."""
    frame = pa.table({**ROW, "properties": [properties]}).to_pandas(types_mapper=pd.ArrowDtype)
    events = normalise(frame, PURCHASE, {}).events
    [envelope] = [json.loads(json.loads(each)) for each in concat(*encode(events, Counter(), "replay")).to_pylist()]
    about = {"version": "0", "id": "17793124", "account": "123456789012", "region": "eu-central-1"}
    told = {"detail-type": PURCHASE, "source": "braze.currents", "resources": ["arn:aws:s3:::bucket/key"]}
    return {**about, **told, "time": "2026-11-23T08:00:01Z", "detail": envelope}


def test_an_event_is_read_with_its_types_and_what_braze_does_not_document() -> None:
    found = UsersBehaviorsPurchaseEvent.model_validate(event('{"size": "M"}'))
    properties, user = found.detail.properties, found.detail.user
    assert (found.detail.id, found.detail.time, user.user_id) == ("a", 1_795_420_801, "anna")
    assert (properties.price, properties.currency, properties.ad_tracking_enabled) == (3.5, "EUR", True)
    assert properties.purchase_properties == {"size": "M"}
    assert properties.model_extra == {"brand_new": 7}
    assert found.detail.currents_export
    assert found.detail.currents_export.mode == "replay"
    assert found.time.year == 2026


def test_properties_that_are_no_object_are_text() -> None:
    found = UsersBehaviorsPurchaseEvent.model_validate(event("[1]"))
    assert found.detail.properties.purchase_properties == "[1]"


def test_another_event_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"detail-type"):
        UsersBehaviorsPurchaseEvent.model_validate({**event("{}"), "detail-type": "users.messages.email.Open"})


def test_the_classes_are_those_of_the_schema() -> None:
    made = UsersBehaviorsPurchaseEvent.model_json_schema()
    assert objects_of(made) == objects_of(SCHEMA), "make docs/examples/purchase.py anew; its head has the command"


def objects_of(schema: Mapping[str, Any]) -> list[Any]:
    """What a schema says of objects, wherever and in whichever words, in an order of its own."""
    named = schema.get("$defs", schema.get("definitions", {})).values()
    found = [each for node in (schema, *named) for each in _objects(node)]
    return sorted(found, key=lambda each: sorted(each["fields"]))


def _objects(node: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """An object, and those that are described within it: as classes they have names of their own."""
    fields = node["properties"]
    yield {
        "required": sorted(node.get("required", ())),
        "is_open": node.get("additionalProperties", False),
        "fields": {name: _field(each) for name, each in fields.items()},
    }
    for each in fields.values():
        if "properties" in each:
            yield from _objects(each)


def _field(node: Mapping[str, Any]) -> Any:
    ways = [each for each in node.get("anyOf", [node]) if each.get("type") != "null"]
    return {
        "types": sorted(name for each in ways for name in _types(each)),
        "description": node.get("description"),
        "enum": next((each["enum"] for each in ways if "enum" in each), [node["const"]] if "const" in node else None),
        "least": node.get("minLength"),
        "is_time": node.get("format") == "date-time",
        "items": node.get("items"),
    }


def _types(node: Mapping[str, Any]) -> list[str]:
    told = node.get("type", "object")
    return [told] if isinstance(told, str) else told
