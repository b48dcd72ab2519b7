"""Where the schema of an event type goes in EventBridge's schema registry, and under which name.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html#schema-quotas
"""

from __future__ import annotations

import re

# A registry takes 100 schemas by default, and an account 10 registries. What an event type's name begins with decides,
# so no schema moves when Braze adds types. The first beginning counts.
_PARTS = (("users.messages.", "messages"), ("", "other"))
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._@-]")


def registry_of(event_type: str, prefix: str) -> str:
    """The name of the registry that the schema of an event type belongs to. It begins with ``prefix``."""
    return f"{prefix}-{next(part for beginning, part in _PARTS if event_type.startswith(beginning))}"


def schema_name(event_type: str, source: str) -> str:
    """The name of the schema of an event type whose events have this `source`, as EventBridge names those it discovers.

    What a name can't have becomes a hyphen.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-schemas-infer.html
    """
    return _NOT_IN_NAMES.sub("-", f"{source}@{event_type}")
