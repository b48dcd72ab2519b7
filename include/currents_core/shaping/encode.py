"""Encodes events as the published Currents envelope, column by column.

A put request carries an envelope as a string within its own JSON, so that is what comes out: making it so at once costs
next to nothing, escaping it afterwards as much as all the rest.
"""

from __future__ import annotations

from collections import Counter

import pyarrow as pa

from currents_core.shaping.columns import arrow
from currents_core.shaping.envelope import USER_FIELDS, Events
from currents_core.shaping.json_text import concat, join_members, json_text, nested, nested_member, nested_texts, quote


def encode(events: Events, notes: Counter[str]) -> pa.Array:
    """The envelopes of ``events``, each as a JSON string, one per row and in their order.

    `{"event_type", "id", "time", "user": {…}, "properties": {…}}`, compact, null fields left out. ``notes`` counts the
    values that JSON can't say.
    """
    frame = events.frame
    members = {name: _member(events, name, notes) for name in frame.columns if name not in ("id", "time")}
    user = [members.pop(name) for name in USER_FIELDS if name in members]
    return concat(
        '"' + nested(f'{{"event_type":{quote(events.event_type)},'),
        nested_member("id", arrow(frame["id"]), notes),
        nested(',"time":'),
        json_text(arrow(frame["time"]), notes),
        nested(',"user":{'),
        join_members(user, len(frame)),
        nested('},"properties":{'),
        join_members(list(members.values()), len(frame)),
        nested("}}") + '"',
    )


def _member(events: Events, name: str, notes: Counter[str]) -> pa.Array:
    values = arrow(events.frame[name])
    if name in events.json_columns:
        return concat(nested(f"{quote(name)}:"), nested_texts(values))
    return nested_member(name, values, notes)
