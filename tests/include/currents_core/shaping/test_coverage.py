from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from currents_core.setup.settings import PersonalDataRule
from currents_core.shaping.coverage import Coverage, rule_name
from currents_core.shaping.encode import encode
from currents_core.shaping.json_text import concat
from currents_core.shaping.normalise import normalise
from currents_core.shaping.personal_data import PersonalData

OPEN, CUSTOM = "users.messages.email.Open", "users.behaviors.CustomEvent"
PURCHASE, BANNER = "users.behaviors.Purchase", "users.messages.banner.Click"
CANARY = "canary-7f3a"


def protect(*rules: dict[str, Any]) -> PersonalData:
    return PersonalData([PersonalDataRule.model_validate(rule) for rule in rules], b"key")


def sent(rules: PersonalData, event_type: str, hits: Counter[str] | None = None, **columns: Any) -> str:
    table = pa.table(
        {"id": ["a"], "time": [1], **{n: v if isinstance(v, pa.Array) else [v] for n, v in columns.items()}}
    )
    events = normalise(table.to_pandas(types_mapper=pd.ArrowDtype), event_type, {}).events
    return str(concat(*encode(rules.of_events(events, hits), Counter())).to_pylist())


@pytest.mark.parametrize("columns", ["email_address", "properties", "blob"])
def test_a_row_without_an_event_type_is_covered_by_every_rule(columns: str) -> None:
    only = {"include": ["users.behaviors.CustomEvent"]}
    rules = protect(
        {"action": "redact", "fields": ["email_address"], "event_types": only},
        {"action": "drop", "pointers": ["/a", "/blob/a"], "event_types": only},
    )
    for value in (f'{{"a":"{CANARY}"}}', {"a": CANARY}, f'{{"a":"{CANARY}'):
        assert CANARY not in str(rules.of_record(None, {columns: value}))


@pytest.mark.parametrize(
    "value", [f'{{"a":"{CANARY}","b":1}}', {"a": CANARY}, f'{{"a":"{CANARY}', CANARY, f'"{CANARY}"', [CANARY]]
)
def test_pointers_reach_into_the_columns_of_every_event_type(value: Any) -> None:
    rules = protect({"action": "redact", "pointers": ["/blob/a", "/blob/0"]})
    assert CANARY not in sent(rules, OPEN, blob=value)
    assert CANARY not in sent(rules, CUSTOM, blob=value)
    assert CANARY not in str(rules.of_record(OPEN, {"blob": value}))


def test_pointers_reach_into_maps() -> None:
    rules = protect({"action": "drop", "pointers": ["/blob/a/b"]})
    kind = pa.map_(pa.string(), pa.map_(pa.string(), pa.string()))
    found = sent(rules, OPEN, blob=pa.array([[("a", [("b", CANARY), ("c", "kept")])]], kind))
    assert CANARY not in found
    assert "kept" in found
    assert CANARY not in str(rules.of_record(OPEN, {"blob": [("a", [("b", CANARY), ("c", "kept")])]}))


def test_a_pointer_to_a_column_covers_json_in_it_but_no_plain_text() -> None:
    rules = protect({"action": "drop", "pointers": ["/blob", "/campaign_name/a"]})
    assert CANARY not in sent(rules, OPEN, blob=f'{{"a":"{CANARY}"}}')
    assert "plain" in sent(rules, OPEN, blob="plain")
    assert "Spring sale" in sent(rules, OPEN, campaign_name="Spring sale"), "Braze documents it as plain text"


@pytest.mark.parametrize("field", ["properties", "custom_properties"])
def test_fields_go_by_their_name_in_the_file_and_in_the_event(field: str) -> None:
    rules = protect({"action": "drop", "fields": [field]})
    own = f'{{"a":"{CANARY}"}}'
    assert CANARY not in sent(rules, CUSTOM, properties=own)
    assert CANARY not in str(rules.of_record(CUSTOM, {"properties": own}))
    assert CANARY not in str(rules.of_record(None, {"properties": own}))


@pytest.mark.parametrize("field", ["canvas_step_message_variation_id", "canvas_step_message_variation_api_id"])
def test_renamed_fields_go_by_both_names(field: str) -> None:
    rules = protect({"action": "drop", "fields": [field]})
    for event_type in (BANNER, None):
        assert rules.of_record(event_type, {"canvas_step_message_variation_id": "x"}) == {}
    assert CANARY not in sent(rules, BANNER, canvas_step_message_variation_id=CANARY)


def test_the_catalogs_mark_of_any_type_covers_a_column_that_its_own_type_lacks() -> None:
    rules = protect({"action": "redact", "catalog": True})
    assert CANARY not in sent(rules, CUSTOM, email_address=CANARY)
    assert CANARY not in str(rules.of_record(CUSTOM, {"email_address": CANARY}))
    assert CANARY in sent(rules, "users.behaviors.app.FirstSession", country=CANARY), "documented there, without a mark"


@pytest.mark.parametrize(
    ("own", "pointers"),
    [
        (f'{{"a":["{CANARY}","{CANARY}","z"]}}', ["/a/0", "/a/1"]),
        (f'{{"a":[{{"b":"{CANARY}"}},{{"b":"{CANARY}"}}]}}', ["/a/0", "/a/1/b"]),
        (f'{{"a":{{"b":"{CANARY}"}},"a":{{"c":1}}}}', ["/a/b"]),
        (f'{{"a":"{CANARY}","a":2}}', ["/a"]),
        (f'{{"\\u0061":"{CANARY}"}}', ["/a"]),
        (f'{{"~/":"{CANARY}","":"{CANARY}","-":"{CANARY}"}}', ["/~0~1", "/", "/-"]),
        (f'{{"a":{{"b":"{CANARY}" x}}}}', ["/a/b"]),
        (f'{{"a":"{CANARY}"}}', ["/a/b"]),
        (f'{{"a":"{{\\"b\\":\\"{CANARY}\\"}}"}}', ["/a/b"]),
        ('{"a":' * 3000 + f'"{CANARY}"' + "}" * 3000, ["/a/a/b", "/a" * 3000]),
    ],
)
@pytest.mark.parametrize("action", ["drop", "redact", "hash"])
def test_no_way_to_write_json_hides_a_place(own: str, pointers: list[str], action: str) -> None:
    rules = protect({"action": action, "pointers": pointers})
    assert CANARY not in sent(rules, CUSTOM, properties=own)
    assert CANARY not in str(rules.of_record(CUSTOM, {"properties": own}))


def test_of_two_rules_for_one_place_the_first_decides_wherever_their_pointers_begin() -> None:
    first, second = {"action": "drop", "pointers": ["/properties/a"]}, {"action": "redact", "pointers": ["/a"]}
    for rules, left in ((protect(first, second), "{}"), (protect(second, first), '{"a":"[REDACTED]"}')):
        assert rules.of_record(CUSTOM, {"properties": '{"a":1}'}) == {"properties": left}


def test_of_two_rules_for_a_column_the_first_decides_but_a_pointer_only_for_json() -> None:
    rules = protect({"action": "drop", "pointers": ["/blob"]}, {"action": "redact", "fields": ["blob"]})
    assert rules.of_record(OPEN, {"blob": '{"a":1}'}) == {"blob": None}
    assert rules.of_record(OPEN, {"blob": "plain"}) == {"blob": "[REDACTED]"}
    assert "blob" not in sent(rules, OPEN, blob='{"a":1}')
    assert "[REDACTED]" in sent(rules, OPEN, blob="plain")


def test_a_pointer_to_a_column_covers_no_plain_text_where_others_go_on_into_it() -> None:
    rules = protect({"action": "drop", "pointers": ["/blob"]}, {"action": "hash", "pointers": ["/blob/a"]})
    assert rules.of_record(OPEN, {"blob": "plain"}) == {"blob": "[REDACTED]"}
    assert "[REDACTED]" in sent(rules, OPEN, blob="plain")


def test_own_properties_that_are_numbers_are_redacted_whole_where_places_are_looked_for() -> None:
    rules = protect({"action": "drop", "pointers": ["/a"]})
    assert "4711" not in sent(rules, CUSTOM, properties=4711)
    assert rules.of_record(CUSTOM, {"properties": 4711}) == {"properties": "[REDACTED]"}


def test_no_rule_takes_away_what_every_event_needs() -> None:
    rules = protect({"action": "drop", "catalog": True, "pointers": ["/id/a", "/time/a", "/event_type/a"]})
    record = {"id": "plain", "time": 1, "event_type": "x"}
    assert rules.of_record(None, record) == record


def test_what_each_rule_hit_is_counted_also_where_it_hit_nothing() -> None:
    rules = protect(
        {"action": "redact", "fields": ["note"]},
        {"action": "drop", "pointers": ["/a/0", "/a/1"], "event_types": {"include": ["users.behaviors.*"]}},
        {"action": "drop", "fields": ["absent"]},
        {"action": "drop", "fields": ["note"], "event_types": {"include": ["users.canvas.*"]}},
    )
    hits: Counter[str] = Counter()
    sent(rules, CUSTOM, hits, note="x", properties='{"a":[1,2,3]}')
    rules.of_record(CUSTOM, {"note": "x"}, hits)
    assert hits == {"rule 1 (redact note)": 2, "rule 2 (drop /a/0 /a/1)": 2, "rule 3 (drop absent)": 0}
    assert "rule 3 (drop absent)" in hits


@pytest.mark.parametrize("own", ['{"a":5}', '{"a":"text"}', '{"a":{"b":1', "[5]"])
def test_a_value_that_is_redacted_whole_counts_once_for_each_rule_that_leads_into_it(own: str) -> None:
    rules = protect({"action": "redact", "pointers": ["/a/b", "/a/c"]}, {"action": "drop", "pointers": ["/a/d"]})
    hits: Counter[str] = Counter()
    sent(rules, CUSTOM, hits, properties=own)
    rules.of_record(CUSTOM, {"properties": own}, hits)
    assert hits == {"rule 1 (redact /a/b /a/c)": 2, "rule 2 (drop /a/d)": 2}


def test_names_of_rules_are_short() -> None:
    rule = PersonalDataRule.model_validate({"action": "drop", "fields": [f"field{n}" for n in range(1000)]})
    assert len(rule_name(7, rule)) < 150
    assert Coverage([rule], OPEN).names == (rule_name(1, rule),)
