"""Encodes events as the published Currents envelope, column by column.

A put request carries an envelope as a string inside its own JSON, so the result is such strings. Producing them
directly costs next to nothing; escaping the envelopes afterwards would cost as much as all other encoding.
"""

from __future__ import annotations

from collections import Counter

import pyarrow as pa

from currents_core.shaping.columns import arrow
from currents_core.shaping.envelope import USER_FIELDS, Events
from currents_core.shaping.json_text import concat, join_members, json_text, nested, nested_member, nested_texts, quote


def encode(events: Events, notes: Counter[str]) -> pa.Array:
    """The envelopes of ``events``: an Arrow array of large_string without nulls, one item per row, in their order.

    An item is a JSON string, with its quotes and escapes, that contains the compact JSON text of the envelope,
    `{"event_type", "id", "time", "user": {…}, "properties": {…}}`, without null fields. ``notes`` counts the values
    that JSON can't express, under ``json_text.NOT_FINITE``.

    Source: https://www.braze.com/docs/partners/data_and_analytics/data_warehouses/amazon_eventbridge
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
    return _json_member(name, values) if name in events.json_columns else nested_member(name, values, notes)


def _json_member(name: str, texts: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(texts.type):
        return _json_member(name, texts.dictionary).take(texts.indices)
    return concat(nested(f"{quote(name)}:"), nested_texts(texts))
