"""Marks the events of a backfill or a replay, so that consumers can tell them from live ones in a rule."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from currents_core.mode import Mode
from currents_core.shaping.json_text import nested


def marked(details: pa.Array, mode: Mode) -> pa.Array:
    """The envelopes with `"currents_export":{"mode":…}` as a last key; a live one stays exactly Braze's own.

    Each is a JSON string, as ``encode`` makes them.

    A rule matches them by `{"detail": {"currents_export": {"mode": ["backfill"]}}}`, and live ones by
    `[{"exists": false}]` in the same place.
    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
    """
    if mode == "live":
        return details
    key = nested(f',"currents_export":{{"mode":"{mode}"}}}}')
    opened = pc.binary_replace_slice(details, -2, 2**31 - 1, f'{key}"')
    return opened.cast(details.type)
