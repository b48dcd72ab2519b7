"""Turns columns of values into columns of JSON texts with Arrow kernels: a whole column at a time, at any depth.

Columns are Arrow arrays, one item per row. A *JSON text* is one valid JSON value; a *nested* text is a JSON text
escaped once more, as inside a JSON string. A null value gives a null text. Objects leave out null members; arrays and
maps keep theirs as `null`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import chain, groupby

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from currents_core.shaping.columns import has_year, is_text, seconds_of

# Texts in parts, which are joined row by row: a text is the same in each row, an array of large_string has one a row.
Parts = Sequence[pa.Array | str]
TEXT = pa.large_string()
NOT_FINITE = "not_finite"
OUT_OF_RANGE = "out_of_range"
_EMPTY, _COMMA = pa.scalar("", TEXT), pa.scalar(",", TEXT)

# The first whole number from which on floats leave out others.
_WHOLE = 2.0**53

# What must be escaped in a JSON string: the quote, the backslash, and control characters, the bytes below the space.
# Source: https://www.rfc-editor.org/rfc/rfc8259#section-7
_SPACE, _QUOTE, _BACKSLASH = b' "\\'
_UNSAFE_PATTERN = r'["\\\x00-\x1f]'


def json_text(values: pa.Array, notes: Counter[str]) -> pa.Array:
    """The JSON text of each value, as large_string.

    ``values`` is an array of any type that a Currents file can have. NaN and infinities, which JSON can't express,
    become null, as do timestamps and dates outside the years 1 to 9999, which ISO 8601 can't; ``notes`` counts them
    under ``NOT_FINITE`` and ``OUT_OF_RANGE``, each distinct value of a dictionary once.

    Raises pyarrow.ArrowException for a type that no Currents file can have, such as a union.
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
    """The JSON text `"name":value` of each value, as large_string; ``values`` and ``notes`` as for ``json_text``."""
    if pa.types.is_dictionary(values.type):
        # Each of the few distinct values is encoded once.
        return member(name, values.dictionary, notes).take(values.indices)
    if is_text(values.type):
        return _quoted(values, notes, before=f"{quote(name)}:")
    return concat(f"{quote(name)}:", json_text(values, notes))


def nested_member(name: str, values: pa.Array, notes: Counter[str]) -> pa.Array:
    """The nested text of what ``member`` gives, as large_string."""
    if pa.types.is_dictionary(values.type):
        return nested_member(name, values.dictionary, notes).take(values.indices)
    if is_text(values.type):
        return _quoted(values, notes, before=f"{quote(name)}:", form=nested)
    return concat(nested(f"{quote(name)}:"), nested_texts(json_text(values, notes)))


def concat(*parts: pa.Array | str) -> pa.Array:
    """Joins texts and arrays of large_string row by row, as large_string; null where one of the arrays is null."""
    values = (pa.scalar(part, TEXT) if isinstance(part, str) else part for part in joined(parts))
    return pc.binary_join_element_wise(*values, _EMPTY)


def joined(parts: Parts) -> Parts:
    """The same texts in fewer parts: each part costs time for each row, so texts that follow each other become one."""
    runs = groupby(parts, lambda part: isinstance(part, str))
    return list(chain.from_iterable(["".join(run)] if is_plain else run for is_plain, run in runs))


def lengths(parts: Parts) -> pa.Array:
    """The length in UTF-8 bytes of each text that ``concat`` would give: int64, null where it would give null."""
    plain = sum(len(part.encode()) for part in parts if isinstance(part, str))
    arrays = (pc.binary_length(part) for part in parts if not isinstance(part, str))
    return reduce(pc.add, arrays, pa.scalar(plain, pa.int64()))


def join_members(members: Sequence[pa.Array], rows: int) -> pa.Array:
    """The members of ``rows`` JSON objects joined by commas, without braces, as large_string without nulls.

    Each of ``members`` is an array of large_string with ``rows`` items, one per object. Null members are left out; an
    object without members gives an empty text.
    """
    if not members:
        return pa.repeat(_EMPTY, rows)
    if any(not each.null_count for each in members):
        return pc.binary_join_element_wise(*members, _COMMA, null_handling="skip")
    # Where all values of a row are null, Arrow gives null instead of an empty text. An empty first value prevents that;
    # the comma after it is cut off again.
    guarded = pc.binary_join_element_wise(_EMPTY, *members, _COMMA, null_handling="skip")
    return pc.utf8_slice_codeunits(guarded, 1)


def quote(text: str) -> str:
    """The JSON string of one text, with its quotes."""
    return orjson.dumps(text).decode()


def nested(text: str) -> str:
    """The nested text of one JSON text: escaped once more, without quotes around it."""
    return quote(text)[1:-1]


def nested_texts(texts: pa.Array) -> pa.Array:
    """The nested text of each JSON text, as large_string.

    ``texts`` is an array of string or large_string. Of the characters to escape, a JSON text can only contain quotes,
    backslashes and white space.
    """
    texts = texts.cast(TEXT)
    held = _used_bytes(texts).tobytes()
    for plain, escaped in _ESCAPES:
        if plain.encode() in held:
            texts = pc.replace_substring(texts, plain, escaped)
    return texts


def nested_bytes(texts: pa.Array) -> pa.Array:
    """The length in UTF-8 bytes of each JSON text before it was nested.

    Takes nested texts as large_string; returns int64, null where the text is null.
    """
    return pc.subtract(pc.binary_length(texts), pc.count_substring_regex(texts, r"\\."))


def _number(values: pa.Array, _notes: Counter[str]) -> pa.Array:
    return values.cast(TEXT)


def _floating(values: pa.Array, notes: Counter[str]) -> pa.Array:
    """The shortest decimal of each float at its own width, as Arrow prints it: 3.14 for the 32-bit 3.14.

    Whole numbers are written as such: pandas makes floats of integers beside a null, which Arrow prints with exponents.
    """
    if pa.types.is_float16(values.type):
        values = values.cast(pa.float32())
    values = _sayable(values, pc.is_finite(values), NOT_FINITE, notes)
    if not pa.types.is_float64(values.type):
        return values.cast(TEXT)
    is_whole = pc.and_(pc.equal(values, pc.floor(values)), pc.less(pc.abs(values), _WHOLE))
    return pc.coalesce(pc.if_else(is_whole, values, None).cast(pa.int64()).cast(TEXT), values.cast(TEXT))


def _sayable(values: pa.Array, fits: pa.Array, note: str, notes: Counter[str]) -> pa.Array:
    """The values that ``fits``, bool, and null for the others, which ``notes`` counts under ``note``."""
    lost = len(values) - values.null_count - (pc.sum(fits).as_py() or 0)
    if not lost:
        return values
    notes[note] += lost
    return pc.if_else(fits, values, None)


def _quoted(values: pa.Array, _notes: Counter[str], *, before: str = "", form: Callable[[str], str] = str) -> pa.Array:
    """The JSON strings of texts of any text type, each after ``before``, with ``form`` applied; large_string.

    Only the values that need escaping are handled one by one.
    """
    values = values.cast(TEXT)
    # The values separate the two ends, which is much quicker than joining all three by nothing.
    begin, end = pa.scalar(form(f'{before}"'), TEXT), pa.scalar(form('"'), TEXT)
    quoted = pc.binary_join_element_wise(begin, end, values)
    if not _has_unsafe_bytes(values):
        return quoted
    unsafe = pc.fill_null(pc.match_substring_regex(values, _UNSAFE_PATTERN), False)
    escaped = [form(before + quote(value)) for value in values.filter(unsafe).to_pylist()]
    return pc.replace_with_mask(quoted, unsafe, pa.array(escaped, TEXT))


def _used_bytes(values: pa.Array) -> npt.NDArray[np.uint8]:
    """The bytes of all texts of an array of large_string, one text after the other, as a view of its buffer."""
    _, offsets, data = values.buffers()
    if data is None or not len(values):
        return np.empty(0, np.uint8)
    bounds = np.frombuffer(offsets, dtype=np.int64)[values.offset : values.offset + len(values) + 1]
    return np.frombuffer(data, dtype=np.uint8)[bounds[0] : bounds[-1]]


def _has_unsafe_bytes(values: pa.Array) -> bool:
    """Whether any byte must be escaped. One look at the whole buffer is cheaper than one at each row."""
    used = _used_bytes(values)
    return len(used) > 0 and bool(used.min() < _SPACE or (used == _QUOTE).any() or (used == _BACKSLASH).any())


def _binary(values: pa.Array, notes: Counter[str]) -> pa.Array:
    """Bytes as the text that they are in UTF-8. Rows with other bytes never come here; see ``normalise``."""
    return _quoted(values.cast(pa.large_binary()).cast(TEXT), notes)


def _timestamp(values: pa.Array, notes: Counter[str]) -> pa.Array:
    """ISO 8601 in UTC. A timestamp without a zone is taken as UTC. Years of other than four digits become null."""
    moments = values.cast(pa.timestamp(values.type.unit, tz="UTC"))
    moments = _sayable(moments, has_year(seconds_of(moments)), OUT_OF_RANGE, notes)
    return _quoted(pc.strftime(moments, format="%Y-%m-%dT%H:%M:%SZ"), notes)


def _date(values: pa.Array, notes: Counter[str]) -> pa.Array:
    """ISO 8601. Dates in years of other than four digits become null."""
    moments = values.cast(pa.timestamp("ms" if pa.types.is_date64(values.type) else "s"))
    return _quoted(_sayable(values, has_year(seconds_of(moments)), OUT_OF_RANGE, notes), notes)


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
    """The items of each list joined by commas, between ``before`` and ``after``; null where the list is null.

    ``items`` has the JSON texts of the items of all lists in ``values``, one list after the other, without nulls.
    """
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
    (_is.is_date, _date),
    (_is.is_duration, _duration),
    (_is.is_map, _map),
    (lambda kind: _is.is_list(kind) or _is.is_large_list(kind) or _is.is_fixed_size_list(kind), _list),
    (_is.is_struct, _struct),
    (lambda kind: _is.is_binary(kind) or _is.is_large_binary(kind) or _is.is_fixed_size_binary(kind), _binary),
    (_is.is_null, _nothing),
)
_ESCAPES = [(each, nested(each)) for each in ("\\", '"', "\n", "\r", "\t")]
