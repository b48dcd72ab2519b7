from __future__ import annotations

import re
from collections import Counter

import pytest

from currents_core.shaping.event_schema import stored_types
from currents_core.shaping.registries import registry_of, schema_name

# Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html#schema-quotas
PER_REGISTRY, REGISTRIES = 100, 10


def test_no_registry_is_close_to_what_it_can_hold() -> None:
    held = Counter(registry_of(each, "braze-currents") for each in stored_types())
    assert held.total() == len(stored_types())
    assert set(held) == {"braze-currents-messages", "braze-currents-other"}
    assert max(held.values()) <= 0.8 * PER_REGISTRY, "begin a registry for the types that came last"


@pytest.mark.parametrize(
    ("event_type", "registry"),
    [
        ("users.messages.email.Open", "p-messages"),
        ("users.messages.brandnew.Send", "p-messages"),
        ("users.messages", "p-other"),
        ("users.behaviors.Purchase", "p-other"),
        ("agentconsole.AgentExecuted", "p-other"),
    ],
)
def test_a_type_alone_decides_where_it_goes_so_new_ones_move_no_other(event_type: str, registry: str) -> None:
    assert registry_of(event_type, "p") == registry


def test_schemas_are_named_as_eventbridge_names_those_it_discovers() -> None:
    assert schema_name("users.behaviors.Purchase", "braze.currents") == "braze.currents@users.behaviors.Purchase"
    assert schema_name("a.B", "acme/brazé x@1") == "acme-braz--x@1@a.B"
    # Letters, digits and these: 385 characters, as a source and a detail type have together.
    assert re.fullmatch(r"[\w.@-]{385}", schema_name("t" * 128, "/" * 256), re.ASCII)
