"""Encodes events as the published Currents envelope, column by column.

A put request in JSON carries an envelope as a string inside its own JSON. Producing such strings directly costs next to
nothing; escaping the envelopes afterwards would cost as much as all other encoding.
"""

from __future__ import annotations

from collections import Counter

import pyarrow as pa

from currents_core.mode import Mode
from currents_core.shaping.columns import arrow
from currents_core.shaping.envelope import USER_FIELDS, Events
from currents_core.shaping.json_text import (
    TEXT,
    Parts,
    concat,
    join_members,
    joined,
    json_text,
    member,
    nested,
    nested_member,
    nested_texts,
    quote,
)
from currents_core.shaping.marking import mark


def encode(
    events: Events,
    notes: Counter[str],
    mode: Mode = "live",
    checks: pa.Array | None = None,
    *,
    is_nested: bool = True,
) -> Parts:
    """The envelopes of ``events`` in parts, one item per row, in their order; without nulls.

    An envelope is the compact JSON text `{"event_type", "id", "time", "user": {…}, "properties": {…}}`, without null
    fields, and with the mark of ``mode`` and ``checks`` as its last member; see ``mark``. If it ``is_nested``, an item
    is a JSON string with its quotes and escapes that contains this text, else the text itself. ``notes`` counts the
    values that JSON can't express, under ``json_text.NOT_FINITE``.

    Source: https://www.braze.com/docs/partners/data_and_analytics/data_warehouses/amazon_eventbridge
    """
    frame = events.frame
    form = nested if is_nested else str
    around = '"' if is_nested else ""
    members = {
        name: _member(events, name, notes, is_nested=is_nested) for name in frame.columns if name not in ("id", "time")
    }
    user = [members.pop(name) for name in USER_FIELDS if name in members]
    return (
        around + form(f'{{"event_type":{quote(events.event_type)},'),
        _named("id", arrow(frame["id"]), notes, is_nested=is_nested),
        form(',"time":'),
        json_text(arrow(frame["time"]), notes),
        form(',"user":{'),
        join_members(user, len(frame)),
        form('},"properties":{'),
        join_members(list(members.values()), len(frame)),
        *joined([*(_formed(part, is_nested=is_nested) for part in ("}", *mark(mode, checks), "}")), around]),
    )


def _member(events: Events, name: str, notes: Counter[str], *, is_nested: bool) -> pa.Array:
    values = arrow(events.frame[name])
    if name in events.json_columns:
        return _json_member(name, values, is_nested=is_nested)
    return _named(name, values, notes, is_nested=is_nested)


def _named(name: str, values: pa.Array, notes: Counter[str], *, is_nested: bool) -> pa.Array:
    return (nested_member if is_nested else member)(name, values, notes)


def _json_member(name: str, texts: pa.Array, *, is_nested: bool) -> pa.Array:
    if pa.types.is_dictionary(texts.type):
        return _json_member(name, texts.dictionary, is_nested=is_nested).take(texts.indices)
    name_text = f"{quote(name)}:"
    return concat(*(_formed(part, is_nested=is_nested) for part in (name_text, texts)))


def _formed(part: pa.Array | str, *, is_nested: bool) -> pa.Array | str:
    """JSON, in the form that the destination takes it in."""
    if isinstance(part, str):
        return nested(part) if is_nested else part
    return nested_texts(part) if is_nested else part.cast(TEXT)
