"""Turns a column of values into a column of JSON texts, by Arrow kernels: whole columns at a time, at any depth.

A null value gives a null text. Objects leave null members out; arrays and maps keep theirs as `null`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from currents_core.shaping.columns import is_text

TEXT = pa.large_string()
NOT_FINITE = "not_finite"
_EMPTY, _COMMA = pa.scalar("", TEXT), pa.scalar(",", TEXT)

# What JSON wants escaped inside a string: controls, which are the bytes below the space, the quote, the backslash.
_SPACE, _QUOTE, _BACKSLASH = b' "\\'
_UNSAFE_PATTERN = r'["\\\x00-\x1f]'


def json_text(values: pa.Array, notes: Counter[str]) -> pa.Array:
    """The JSON text of each value. NaN and infinities, which JSON can't say, become null and are noted.

    Raises pyarrow.ArrowException for a type that no Currents file could hold, such as a union.
    """
    if isinstance(values, pa.ExtensionArray):
        return json_text(values.storage, notes)
    if pa.types.is_dictionary(values.type):
        return json_text(values.dictionary, notes).take(values.indices)
    if pa.types.is_run_end_encoded(values.type):
        return json_text(pc.run_end_decode(values), notes)
    for matches, encode in _ENCODERS:
        if matches(values.type):
            return encode(values, notes)
    return _quoted(values.cast(TEXT), notes)


def member(name: str, values: pa.Array, notes: Counter[str]) -> pa.Array:
    """The text `"name":value` of each value, null where the value is null."""
    if pa.types.is_dictionary(values.type):
        # The few distinct values are encoded once each.
        return member(name, values.dictionary, notes).take(values.indices)
    if is_text(values.type):
        return _quoted(values, notes, before=f"{quote(name)}:")
    return concat(f"{quote(name)}:", json_text(values, notes))


def nested_member(name: str, values: pa.Array, notes: Counter[str]) -> pa.Array:
    """The same, as it stands within a JSON string."""
    if pa.types.is_dictionary(values.type):
        return nested_member(name, values.dictionary, notes).take(values.indices)
    if is_text(values.type):
        return _quoted(values, notes, before=f"{quote(name)}:", form=nested)
    return concat(nested(f"{quote(name)}:"), nested_texts(json_text(values, notes)))


def concat(*parts: pa.Array | str) -> pa.Array:
    """Joins texts and columns of texts, row by row; null where a column is null."""
    values = (pa.scalar(part, TEXT) if isinstance(part, str) else part for part in parts)
    return pc.binary_join_element_wise(*values, _EMPTY)


def join_members(members: Sequence[pa.Array], rows: int) -> pa.Array:
    """The members of ``rows`` JSON objects, joined by commas, without the braces; null members are left out."""
    if not members:
        return pa.repeat(_EMPTY, rows)
    if any(not each.null_count for each in members):
        return pc.binary_join_element_wise(*members, _COMMA, null_handling="skip")
    # Arrow leaves a row out whose values are all null, instead of joining it to an empty text. An empty first value
    # keeps the row; the comma after it is cut off again.
    guarded = pc.binary_join_element_wise(_EMPTY, *members, _COMMA, null_handling="skip")
    return pc.utf8_slice_codeunits(guarded, 1)


def quote(text: str) -> str:
    """One text as a JSON string."""
    return orjson.dumps(text).decode()


def nested(text: str) -> str:
    """A JSON text as it stands within a JSON string: escaped once more, without quotes around it."""
    return quote(text)[1:-1]


def nested_texts(texts: pa.Array) -> pa.Array:
    """The same for a column of JSON texts: of what has to be escaped, they hold quotes, backslashes, white space."""
    texts = texts.cast(TEXT)
    held = _used_bytes(texts).tobytes()
    for plain, escaped in _ESCAPES:
        if plain.encode() in held:
            texts = pc.replace_substring(texts, plain, escaped)
    return texts


def nested_bytes(texts: pa.Array) -> pa.Array:
    """The bytes of each JSON text that stands within a JSON string, before it was escaped."""
    return pc.subtract(pc.binary_length(texts), pc.count_substring_regex(texts, r"\\."))


def _number(values: pa.Array, _notes: Counter[str]) -> pa.Array:
    return values.cast(TEXT)


def _floating(values: pa.Array, notes: Counter[str]) -> pa.Array:
    """Arrow prints a float as the shortest decimal of its own width: 3.14 for the 32-bit 3.14."""
    if pa.types.is_float16(values.type):
        values = values.cast(pa.float32())
    finite = pc.is_finite(values)
    lost = len(values) - values.null_count - (pc.sum(finite).as_py() or 0)
    if lost:
        notes[NOT_FINITE] += lost
        values = pc.if_else(finite, values, None)
    return values.cast(TEXT)


def _quoted(values: pa.Array, _notes: Counter[str], *, before: str = "", form: Callable[[str], str] = str) -> pa.Array:
    """Strings, each after ``before``, all in some form. Only those that need escaping are looked at one by one."""
    values = values.cast(TEXT)
    quoted = concat(form(f'{before}"'), values, form('"'))
    if not _has_unsafe_bytes(values):
        return quoted
    unsafe = pc.fill_null(pc.match_substring_regex(values, _UNSAFE_PATTERN), False)
    escaped = [form(before + quote(value)) for value in values.filter(unsafe).to_pylist()]
    return pc.replace_with_mask(quoted, unsafe, pa.array(escaped, TEXT))


def _used_bytes(values: pa.Array) -> npt.NDArray[np.uint8]:
    """The texts of a column, one after the other."""
    _, offsets, data = values.buffers()
    if data is None or not len(values):
        return np.empty(0, np.uint8)
    bounds = np.frombuffer(offsets, dtype=np.int64)[values.offset : values.offset + len(values) + 1]
    return np.frombuffer(data, dtype=np.uint8)[bounds[0] : bounds[-1]]


def _has_unsafe_bytes(values: pa.Array) -> bool:
    """Whether any byte of the column wants escaping: one look at the whole buffer is cheaper than one per row."""
    used = _used_bytes(values)
    return len(used) > 0 and bool(used.min() < _SPACE or (used == _QUOTE).any() or (used == _BACKSLASH).any())


def _binary(values: pa.Array, notes: Counter[str]) -> pa.Array:
    """Bytes as the text that they are in UTF-8; what is no UTF-8 in there is replaced by U+FFFD."""
    try:
        return _quoted(values.cast(TEXT), notes)
    except pa.ArrowInvalid:
        texts = [None if value is None else value.decode("utf-8", "replace") for value in values.to_pylist()]
        return _quoted(pa.array(texts, TEXT), notes)


def _timestamp(values: pa.Array, notes: Counter[str]) -> pa.Array:
    """ISO 8601 in UTC; a timestamp without a zone is taken to be in UTC."""
    moments = values.cast(pa.timestamp(values.type.unit, tz="UTC"))
    return _quoted(pc.strftime(moments, format="%Y-%m-%dT%H:%M:%SZ"), notes)


def _duration(values: pa.Array, _notes: Counter[str]) -> pa.Array:
    return values.cast(pa.int64()).cast(TEXT)


def _list(values: pa.Array, notes: Counter[str]) -> pa.Array:
    items = pc.fill_null(json_text(values.flatten(), notes), "null")
    return _wrapped(values, "[", items, "]")


def _map(values: pa.Array, notes: Counter[str]) -> pa.Array:
    entries = pa.ListArray.from_arrays(
        values.offsets, pa.StructArray.from_arrays([values.keys, values.items], ["k", "v"])
    )
    keys, items = entries.flatten().flatten()
    texts = concat(_quoted(keys.cast(TEXT), notes), ":", pc.fill_null(json_text(items, notes), "null"))
    return _wrapped(values, "{", texts, "}")


def _wrapped(values: pa.Array, before: str, items: pa.Array, after: str) -> pa.Array:
    """Joins the items of each list, which stand one list after the other, and puts brackets around them."""
    lengths = np.asarray(pc.fill_null(_lengths(values), 0))
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int64())
    joined = pc.binary_join(pa.LargeListArray.from_arrays(offsets, items), _COMMA)
    return pc.if_else(values.is_valid(), concat(before, joined, after), pa.scalar(None, TEXT))


def _lengths(values: pa.Array) -> pa.Array:
    if pa.types.is_map(values.type):
        return pc.list_value_length(values.cast(pa.list_(pa.struct([values.type.key_field, values.type.item_field]))))
    return pc.list_value_length(values)


def _struct(values: pa.Array, notes: Counter[str]) -> pa.Array:
    named = zip((field.name for field in values.type), values.flatten(), strict=True)
    members = [member(name, column, notes) for name, column in named]
    objects = concat("{", join_members(members, len(values)), "}")
    return pc.if_else(values.is_valid(), objects, pa.scalar(None, TEXT))


def _nothing(values: pa.Array, _notes: Counter[str]) -> pa.Array:
    return pa.nulls(len(values), TEXT)


_is = pa.types
_ENCODERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array, Counter[str]], pa.Array]], ...] = (
    (is_text, _quoted),
    (lambda kind: _is.is_boolean(kind) or _is.is_integer(kind) or _is.is_decimal(kind), _number),
    (_is.is_floating, _floating),
    (_is.is_timestamp, _timestamp),
    (_is.is_duration, _duration),
    (_is.is_map, _map),
    (lambda kind: _is.is_list(kind) or _is.is_large_list(kind) or _is.is_fixed_size_list(kind), _list),
    (_is.is_struct, _struct),
    (lambda kind: _is.is_binary(kind) or _is.is_large_binary(kind) or _is.is_fixed_size_binary(kind), _binary),
    (_is.is_null, _nothing),
)
_ESCAPES = [(each, nested(each)) for each in ("\\", '"', "\n", "\r", "\t")]
