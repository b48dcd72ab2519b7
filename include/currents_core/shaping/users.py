"""Tells whose events are: by Braze's id of the user, as far as the rules for personal data leave it."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from currents_core.shaping.columns import arrow, is_text
from currents_core.shaping.envelope import Events
from currents_core.shaping.json_text import TEXT, json_text
from currents_core.shaping.personal_data import REDACTED

# What is the same for many users tells nothing of one.
_NOBODY = pa.array(["", REDACTED], TEXT)


def users(events: Events) -> pa.Array:
    """The `user_id` of each event as text: large_string, null where there is none or a rule withholds it."""
    if "user_id" not in events.frame.columns:
        return pa.nulls(len(events.frame), TEXT)
    values = arrow(events.frame["user_id"])
    texts = values.cast(TEXT) if is_text(values.type) else json_text(values, Counter())
    return pc.if_else(pc.is_in(texts, _NOBODY), pa.scalar(None, TEXT), texts)
