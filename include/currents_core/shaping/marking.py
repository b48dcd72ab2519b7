"""Marks the events of backfills and replays, so that rules can tell them from live ones."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from currents_core.mode import Mode
from currents_core.shaping.json_text import nested


def marked(envelopes: pa.Array, mode: Mode, *, is_nested: bool = True) -> pa.Array:
    """The envelopes with `"currents_export":{"mode":…}` as their last key. Live ones stay exactly as Braze's.

    Takes and returns what ``encode`` gives: an Arrow array of large_string without nulls, one envelope per row.

    A rule matches the marked events with `{"detail": {"currents_export": {"mode": ["backfill"]}}}`, and live ones with
    `[{"exists": false}]` in the same place.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
    """
    if mode == "live":
        return envelopes
    key = f',"currents_export":{{"mode":"{mode}"}}}}'
    end = f'{nested(key)}"' if is_nested else key
    # The last brace, and the quote after a nested one, are replaced.
    opened = pc.binary_replace_slice(envelopes, -2 if is_nested else -1, 2**31 - 1, end)
    return opened.cast(envelopes.type)
