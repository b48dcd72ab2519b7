"""Encodes events as the published Currents envelope, column by column.

Each field becomes a column of `"name":value` texts, null where the field is null; joining those columns with commas,
skipping nulls, gives the objects of all rows at once. Only values that need escaping go through orjson one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.currents.normalise import USER_FIELDS, Events

_TEXT = pa.large_string()
# Bytes that JSON wants escaped inside a string: controls, the quote and the backslash.
_UNSAFE = np.zeros(256, dtype=bool)
_UNSAFE[:0x20] = True
_UNSAFE[[ord('"'), ord("\\")]] = True
_UNSAFE_PATTERN = r'["\\\x00-\x1f]'


def encode(events: Events) -> pa.Array:
    """The envelopes of ``events`` as JSON text, one per row and in their order.

    `{"event_type", "id", "time", "user": {…}, "properties": {…}}`, compact, null fields left out.
    """
    frame = events.frame
    own = [name for name in frame.columns if name not in ("id", "time", *USER_FIELDS)]
    known = [name for name in USER_FIELDS if name in frame.columns]
    return _concat(
        f'{{"event_type":{_quote(events.event_type)},"id":',
        _json(frame["id"], is_json=False),
        ',"time":',
        _json(frame["time"], is_json=False),
        ',"user":{',
        _members(events, known),
        '},"properties":{',
        _members(events, own),
        "}}",
    )


def _members(events: Events, names: Sequence[str]) -> pa.Array | str:
    """The members of a JSON object, without its braces."""
    columns = [
        _concat(f"{_quote(name)}:", _json(events.frame[name], is_json=name in events.json_columns)) for name in names
    ]
    if not columns:
        return ""
    comma = pa.scalar(",", _TEXT)
    if any(not column.null_count for column in columns):
        return pc.binary_join_element_wise(*columns, comma, null_handling="skip")
    # Arrow leaves a row out whose values are all null, instead of joining it to an empty text. An empty first value
    # keeps the row; the comma after it is cut off again.
    guarded = pc.binary_join_element_wise(pa.scalar("", _TEXT), *columns, comma, null_handling="skip")
    return pc.utf8_slice_codeunits(guarded, 1)


def _concat(*parts: pa.Array | str) -> pa.Array:
    """Joins texts and columns of texts; null where a column is null."""
    values = [pa.scalar(part, _TEXT) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*values, pa.scalar("", _TEXT))


def _quote(text: str) -> str:
    return orjson.dumps(text).decode()


def _json(column: pd.Series, *, is_json: bool) -> pa.Array:
    """A column's values as JSON text, null where the value is null."""
    values = pa.chunked_array(column.array.__arrow_array__()).combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if is_json or _is_plain_number(kind):
        return values.cast(_TEXT)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _strings(values.cast(_TEXT))
    return pa.array([None if value is None else _any(value) for value in values.to_pylist()], _TEXT)


def _is_plain_number(kind: pa.DataType) -> bool:
    """Types that Arrow prints as JSON does. It prints floats as the shortest decimal of their own width."""
    return (
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
    )


def _strings(values: pa.Array) -> pa.Array:
    quote = pa.scalar('"', _TEXT)
    quoted = pc.binary_join_element_wise(quote, values, quote, pa.scalar("", _TEXT))
    if not _has_unsafe_bytes(values):
        return quoted
    unsafe = pc.fill_null(pc.match_substring_regex(values, _UNSAFE_PATTERN), False)
    escaped = [_quote(value) for value in values.filter(unsafe).to_pylist()]
    return pc.replace_with_mask(quoted, unsafe, pa.array(escaped, _TEXT))


def _has_unsafe_bytes(values: pa.Array) -> bool:
    """Whether any byte of the column wants escaping: one look at the whole buffer is cheaper than one per row."""
    _, offsets, data = values.buffers()
    if data is None or not len(values):
        return False
    bounds = np.frombuffer(offsets, dtype=np.int64)[values.offset : values.offset + len(values) + 1]
    return bool(_UNSAFE[np.frombuffer(data, dtype=np.uint8)[bounds[0] : bounds[-1]]].any())


def _any(value: object) -> str:
    """JSON for lists, structs, maps, dates and other types that have no column-wise form."""
    return orjson.dumps(value, default=str).decode()
