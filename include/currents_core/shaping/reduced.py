"""Reduces events that are too large to be sent to what their claim checks have of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pandas as pd
import pyarrow.compute as pc

from currents_core.shaping.columns import arrow, without
from currents_core.shaping.envelope import USER_FIELDS, Events
from currents_core.shaping.json_text import json_text

# The most bytes of JSON of a value that is kept. Ids of users are far shorter.
_VALUE_BYTES = 1_024


def reduced(events: Events) -> Events:
    """The same rows with nothing but their ids and times, and the values of `user` that are short.

    Longer ones are null. So an event has no properties, and is small if its id is.
    """
    kept = [name for name in ("id", "time", *USER_FIELDS) if name in events.frame.columns]
    short = {name: _short(events.frame[name], name in events.json_columns) for name in kept if name in USER_FIELDS}
    return replace(events, frame=events.frame[kept].assign(**short))


def _short(column: pd.Series, is_json: bool) -> pd.Series:
    texts = arrow(column) if is_json else json_text(arrow(column), Counter())
    is_long = pc.fill_null(pc.greater(pc.binary_length(texts), _VALUE_BYTES), False).to_numpy(zero_copy_only=False)
    return without(column, is_long) if is_long.any() else column
