from __future__ import annotations

from typing import Any

import orjson
import pytest

from currents_core.catalog import catalog
from currents_core.entry import Entry
from currents_core.shaping.masked import masked, masked_record
from currents_core.shaping.personal_data import REDACTED

FIELDS = [(event_type, field) for event_type, each in catalog().items() for field in each.fields.values()]
# What may hold anything, whatever Braze says of it.
FREE = (
    *("body", "text", "url", "error", "response", "log", "arguments", "attributes", "properties", "extras"),
    *("push_token", "start_token", "update_token"),
)


def _shown(event_type: str, name: str, value: Any) -> tuple[Any, Any]:
    """A property as a sample of an event and as that of a dead letter show it."""
    detail = orjson.dumps({"id": "1", "properties": {name: value}}).decode()
    sample = masked(Entry(0, "s", event_type, detail, 0, "r"))
    return sample["properties"][name], masked_record(event_type, {name: value})[name]


@pytest.mark.parametrize("of", FREE)
def test_a_sample_shows_nothing_that_somebody_fills_in_as_they_like(of: str) -> None:
    kinds = {"string", "json", "array<string>"}
    found = [(kind, field.name) for kind, field in FIELDS if field.name.endswith(of) and field.type in kinds]
    assert found
    for event_type, name in found:
        assert _shown(event_type, name, "ada@example.com") == (REDACTED, REDACTED), (event_type, name)


def test_a_sample_shows_nothing_that_is_personal_or_undocumented() -> None:
    for event_type, field in FIELDS:
        if field.personal:
            assert _shown(event_type, field.name, "ada") == (REDACTED, REDACTED), (event_type, field.name)
    assert _shown("users.messages.email.Open", "our_own", "ada") == (REDACTED, REDACTED)
    assert _shown("an.undocumented.Type", "campaign_id", "ada") == (REDACTED, REDACTED)


def test_a_sample_shows_ids_names_and_numbers_of_campaigns() -> None:
    for name, value in (("campaign_id", "c1"), ("campaign_name", "Autumn"), ("machine_open", "true")):
        assert _shown("users.messages.email.Open", name, value) == (value, value)
    assert _shown("users.behaviors.Purchase", "price", 9.99) == (9.99, 9.99)
    assert masked_record("users.messages.email.Open", {"email_address": None}) == {"email_address": None}


def test_a_sample_shows_nothing_of_the_user() -> None:
    detail = orjson.dumps({"user": {"user_id": "u1", "timezone": "Europe/Vienna"}, "properties": {}}).decode()
    sample = masked(Entry(0, "s", "users.messages.email.Open", detail, 0, "r"))
    assert set(sample["user"].values()) == {REDACTED}
    told = ("user_id", "external_user_id", "device_id", "timezone", "gender", "user_agent", "orphaned_by_id")
    record = dict.fromkeys(told, "ada")
    for event_type in ("users.messages.email.Open", "users.behaviors.app.FirstSession", "users.UserOrphan"):
        assert set(masked_record(event_type, record).values()) == {REDACTED}
