from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_aws.scrub import LONGEST, scrubbed

CANARY = "canary-7f3a"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Rate exceeded", "Rate exceeded"),
        (
            "User: arn:aws:sts::123456789012:assumed-role/r/s is not authorized to perform: events:PutEvents",
            "User: arn:aws:sts::123456789012:assumed-role/r/s is not authorized to perform: events:PutEvents",
        ),
        (
            "Event bus 'braze' doesn't exist, so it can't take events.",
            "Event bus 'braze' doesn't exist, so it can't take events.",
        ),
        ("Can't deliver to anna@example.com now", "Can't deliver to […] now"),
        ('Detail is malformed: {"note":"Anna"}', "Detail is malformed: […]"),
        ("Value 'Anna Smith, 5 Main Street' is wrong", "Value […] is wrong"),
        ("one\ntwo\x1b[31m\u2028three", "one\\u000atwo\\u001b[31m\\u2028three"),
    ],
)
def test_a_message_keeps_what_helps_and_loses_what_looks_like_a_value(said: str, kept: str) -> None:
    assert scrubbed(said) == kept


def test_a_message_is_cut() -> None:
    assert len(scrubbed("word " * 10_000)) == LONGEST


@given(
    st.recursive(
        st.text(min_size=4).map(lambda text: f"{CANARY}{text}") | st.integers(10**6),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    ),
    st.text(max_size=20),
    st.booleans(),
)
def test_no_value_of_the_event_stays_in_a_message_about_it(value: object, around: str, is_escaped: bool) -> None:
    detail = json.dumps({"properties": {"note": value}})
    for leaf in _leaves(value):
        quoted = json.dumps(leaf, ensure_ascii=False)[1:-1] if is_escaped and isinstance(leaf, str) else str(leaf)
        said = scrubbed(f"{around}{quoted}{around}", detail)
        assert quoted not in said
        assert CANARY not in said
        assert len(said) <= LONGEST
        assert said.isprintable() or "\n" not in said


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        value = list(value.values())
    return [leaf for each in value for leaf in _leaves(each)] if isinstance(value, list) else [value]


@pytest.mark.parametrize("events", [dict, lambda event: [event, event]], ids=["one event", "several"])
def test_an_event_type_is_shown_and_a_customers_own_member_of_that_name_is_not(events: Any) -> None:
    event = {"event_type": "users.Open", "properties": {"custom_properties": {"event_type": "canary"}}}
    said = scrubbed("not authorized for users.Open with canary", json.dumps(events(event)))
    assert said == "not authorized for users.Open with […]"
