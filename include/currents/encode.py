"""Encodes events as the published Currents envelope, column by column."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa

from include.currents.json_text import TEXT, concat, join_members, json_text, member, quote
from include.currents.normalise import USER_FIELDS, Events, arrow


def encode(events: Events, notes: Counter[str]) -> pa.Array:
    """The envelopes of ``events`` as JSON text, one per row and in their order.

    `{"event_type", "id", "time", "user": {…}, "properties": {…}}`, compact, null fields left out. ``notes`` counts the
    values that JSON can't say.
    """
    frame = events.frame
    members = {name: _member(events, name, notes) for name in frame.columns if name not in ("id", "time")}
    user = [members.pop(name) for name in USER_FIELDS if name in members]
    return concat(
        f'{{"event_type":{quote(events.event_type)},"id":',
        json_text(arrow(frame["id"]), notes),
        ',"time":',
        json_text(arrow(frame["time"]), notes),
        ',"user":{',
        join_members(user, len(frame)),
        '},"properties":{',
        join_members(list(members.values()), len(frame)),
        "}}",
    )


def _member(events: Events, name: str, notes: Counter[str]) -> pa.Array:
    values = arrow(events.frame[name])
    if name in events.json_columns:
        return concat(f"{quote(name)}:", values.cast(TEXT))
    return member(name, values, notes)
