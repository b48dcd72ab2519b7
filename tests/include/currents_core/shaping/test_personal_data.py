from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from currents_core.setup.settings import PersonalDataRule, PersonalDataSettings
from currents_core.shaping.encode import encode
from currents_core.shaping.json_text import concat
from currents_core.shaping.normalise import normalise
from currents_core.shaping.personal_data import PersonalData
from currents_core.shaping.pointer import steps

OPEN, CUSTOM, PURCHASE = "users.messages.email.Open", "users.behaviors.CustomEvent", "users.behaviors.Purchase"
KEY = b"a secret"


def protect(*rules: dict[str, Any]) -> PersonalData:
    return PersonalData([PersonalDataRule.model_validate(rule) for rule in rules], KEY)


def hashed(text: str) -> str:
    return hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()


def envelope(rules: PersonalData, event_type: str = OPEN, **columns: Any) -> dict[str, Any]:
    table = pa.table({"id": ["a"], "time": [1], **{name: [value] for name, value in columns.items()}})
    events = normalise(table.to_pandas(types_mapper=pd.ArrowDtype), event_type, {}).events
    [text] = map(json.loads, concat(*encode(rules.of_events(events), Counter())).to_pylist())
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize(
    ("action", "expected"),
    [("drop", {}), ("redact", {"email_address": "[REDACTED]"}), ("hash", {"email_address": hashed("a@example.com")})],
)
def test_a_field_is_dropped_redacted_or_hashed(action: str, expected: dict[str, str]) -> None:
    rules = protect({"action": action, "fields": ["email_address"]})
    assert envelope(rules, email_address="a@example.com")["properties"] == expected
    record = {"id": "a", "email_address": "a@example.com"}
    assert rules.of_record(OPEN, record) == {"id": "a", **expected}


def test_nulls_stay_left_out_and_fields_of_the_user_are_fields_too() -> None:
    rules = protect({"action": "hash", "fields": ["user_id", "email_address"]})
    found = envelope(rules, user_id="u", email_address=pa.scalar(None, pa.string()))
    assert (found["user"], found["properties"]) == ({"user_id": hashed("u")}, {})


def test_numbers_and_dictionaries_are_hashed_by_their_text() -> None:
    rules = protect({"action": "hash", "fields": ["n", "d"]})
    table = pa.table({"id": ["a"], "time": [1], "n": [7], "d": pa.array(["x"]).dictionary_encode()})
    events = normalise(table.to_pandas(types_mapper=pd.ArrowDtype), OPEN, {}).events
    assert json.loads(json.loads(concat(*encode(rules.of_events(events), Counter()))[0].as_py()))["properties"] == {
        "n": hashed("7"),
        "d": hashed("x"),
    }


def test_equal_texts_have_equal_hashes_whatever_they_are_stored_as() -> None:
    rules = protect({"action": "hash", "fields": ["day", "custom_properties"]})
    expected = {"day": hashed("2026-11-23"), "custom_properties": hashed("no JSON")}
    for day in (date(2026, 11, 23), "2026-11-23"):
        assert envelope(rules, CUSTOM, day=day, properties="no JSON")["properties"] == expected
        record = rules.of_record(CUSTOM, {"day": day, "properties": "no JSON"})
        assert list(record.values()) == list(expected.values())


def test_the_catalogs_flag_names_the_fields() -> None:
    rules = protect({"action": "redact", "catalog": True})
    found = envelope(rules, email_address="a@example.com", campaign_name="spring", user_id="u")
    assert found["properties"] == {"email_address": "[REDACTED]", "campaign_name": "spring"}
    assert found["user"] == {"user_id": "[REDACTED]"}
    found = envelope(rules, "users.brand.New", email_address="a@example.com")
    assert found["properties"] == {"email_address": "[REDACTED]"}, "an unknown type has the flags of all"


def test_the_first_rule_that_names_a_field_decides_and_patterns_choose_types() -> None:
    rules = protect(
        {"action": "drop", "fields": ["note"], "event_types": {"include": ["*.Click"]}},
        {"action": "redact", "fields": ["note"]},
        {"action": "drop", "fields": ["note"]},
    )
    assert envelope(rules, note="x")["properties"] == {"note": "[REDACTED]"}


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ('{"email":"a@b","n":1.10}', '{"email":"[REDACTED]","n":1.10}'),
        (
            '{"who":{"mail/home":"a","x":9876543210987654321}}',
            '{"who":{"mail/home":"[REDACTED]","x":9876543210987654321}}',
        ),
        ('{"people":[{"name":"Zoë"},{"name":"B"}]}', '{"people":[{"name":"[REDACTED]"},{"name":"B"}]}'),
        ('{"other": 1.10}', '{"other": 1.10}'),
        ('{"email":null}', '{"email":"[REDACTED]"}'),
        ('{"email":{"deep":1}}', '{"email":"[REDACTED]"}'),
    ],
)
def test_places_inside_own_properties_are_replaced_and_all_else_keeps_its_text(own: str, expected: str) -> None:
    rules = protect({"action": "redact", "pointers": ["/email", "/who/mail~1home", "/people/0/name"]})
    table = pa.table({"id": ["a"], "time": [1], "properties": [own]})
    events = normalise(table.to_pandas(types_mapper=pd.ArrowDtype), CUSTOM, {}).events
    assert rules.of_events(events).frame["custom_properties"].tolist() == [expected]
    assert rules.of_record(CUSTOM, {"properties": own}) == {"properties": expected}


@pytest.mark.parametrize("own", ['{"email":"anna@exa', "[REDACTED]", '["anna"]', '"anna"'])
def test_own_properties_that_are_no_object_are_redacted_whole_where_places_are_looked_for(own: str) -> None:
    rules = protect({"action": "drop", "pointers": ["/email"]})
    assert envelope(rules, CUSTOM, properties=own)["properties"] == {"custom_properties": "[REDACTED]"}
    assert "anna" not in str(rules.of_record(CUSTOM, {"properties": own}))


def test_a_number_or_a_date_that_a_pointer_goes_on_into_is_redacted_unless_braze_documents_it() -> None:
    rules = protect({"action": "drop", "pointers": ["/n/a", "/day/a", "/yes/a", "/price/a"]})
    row: dict[str, Any] = {"n": 4711, "day": date(1984, 5, 6), "yes": True, "price": 3.5}
    expected = {"n": "[REDACTED]", "day": "[REDACTED]", "yes": True, "price": 3.5}
    assert envelope(rules, PURCHASE, **row)["properties"] == expected
    assert rules.of_record(PURCHASE, row) == expected


def test_own_properties_given_as_a_struct_are_looked_into() -> None:
    rules = protect({"action": "drop", "pointers": ["/email"]})
    found = envelope(rules, CUSTOM, properties={"email": "a@b", "n": 1})
    assert found["properties"] == {"custom_properties": {"n": 1}}
    assert rules.of_record(CUSTOM, {"properties": {"email": "a@b", "n": 1}}) == {"properties": '{"n":1}'}


def test_a_rule_for_own_properties_as_a_whole_holds_for_their_name_in_the_file() -> None:
    rules = protect({"action": "drop", "fields": ["custom_properties"]})
    assert envelope(rules, CUSTOM, properties='{"a":1}')["properties"] == {}
    assert rules.of_record(CUSTOM, {"properties": '{"a":1}', "name": "n"}) == {"name": "n"}


@given(st.lists(st.text(max_size=4), min_size=1, max_size=3), st.sampled_from(["drop", "redact", "hash"]))
def test_a_secret_is_nowhere_in_what_goes_out_however_its_name_is_written(path: list[str], action: str) -> None:
    pointer = "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in path)
    assert steps(pointer) == tuple(path)
    own: Any = "a very secret value"
    for step in reversed(path):
        own = {step: own}
    rules = protect({"action": action, "pointers": [pointer]})
    assert "very secret" not in str(envelope(rules, CUSTOM, properties=json.dumps(own)))
    assert "very secret" not in str(rules.of_record(CUSTOM, {"properties": json.dumps(own)}))


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ({"action": "drop"}, "applies to nothing"),
        ({"action": "drop", "fields": ["id"]}, "fields can't include id, which every event needs"),
        ({"action": "drop", "pointers": ["email"]}, "pattern"),
        ({"action": "hide", "fields": ["x"]}, "drop"),
    ],
)
def test_rules_that_can_not_be_meant_are_refused(rule: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        PersonalDataRule.model_validate(rule)


def test_hashing_needs_a_key() -> None:
    rules = {"rules": [{"action": "hash", "fields": ["x"]}]}
    with pytest.raises(ValidationError, match="hash_key_conn_id"):
        PersonalDataSettings.model_validate(rules)
    assert PersonalDataSettings.model_validate({**rules, "hash_key_conn_id": "key"})


@pytest.mark.parametrize("field", ["user_ids", "emailaddress", "email_adress", "custom_propertie"])
def test_a_misspelled_field_is_refused_with_what_was_probably_meant(field: str) -> None:
    with pytest.raises(ValidationError, match=f"'{field}' .did you mean '"):
        PersonalDataRule.model_validate({"action": "drop", "fields": [field]})


@pytest.mark.parametrize("field", ["email_address", "properties", "note", "loyalty_number"])
def test_documented_fields_and_fields_of_the_customers_own_are_taken(field: str) -> None:
    assert PersonalDataRule.model_validate({"action": "drop", "fields": [field]}).fields == (field,)
    only = {"include": ["users.behaviors.CustomEvent"]}
    assert PersonalDataRule.model_validate({"action": "drop", "fields": [field], "event_types": only})


def test_a_pointer_has_whole_escapes() -> None:
    with pytest.raises(ValidationError, match="pattern"):
        PersonalDataRule.model_validate({"action": "drop", "pointers": ["/a~2"]})
