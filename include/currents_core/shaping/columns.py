"""Columns: conversions between pandas and Arrow, and to the few types that the envelope needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_NOT_UTF8 = object()
# The years 1 to 9999 in seconds since the epoch: the timestamps that RFC 3339, and so EventBridge, can express.
# Milliseconds mistaken for seconds fall outside.
# Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799


def arrow(column: pd.Series) -> pa.Array:
    """The values of a column with an ArrowDtype, as one Arrow array of the same type, one item per row.

    Its offset is 0: of a slice of text, the `if_else` of pyarrow 23 gives other texts.
    """
    values = pa.chunked_array(column.array.__arrow_array__())
    # Combining copies even a single chunk.
    is_whole = values.num_chunks == 1 and not values.chunk(0).offset
    return values.chunk(0) if is_whole else values.combine_chunks()


def series(values: pa.Array, like: pd.Series) -> pd.Series:
    """An Arrow array as a column with the index and the name of ``like``.

    ``values`` has one item per row of ``like``; the dtype of the result is ArrowDtype of its type.
    """
    return pd.Series(pd.arrays.ArrowExtensionArray(values), index=like.index, name=like.name)


def without(column: pd.Series, gone: npt.NDArray[np.bool_]) -> pd.Series:
    """The column with null where ``gone``, NumPy bool, one item per row.

    The `mask` of pandas 3.1 gives other values to the nulls of a dictionary.
    """
    values = arrow(column)
    return series(values.take(pa.array(np.arange(len(values)), mask=gone)), column)


def plain(values: pa.Array) -> list[Any]:
    """The values as plain Python, whatever they are.

    Dates and times that Python can't tell, of years before 1 or after 9999, become the number that the file has. Of two
    fields of a struct that share a name, the last one counts.
    """
    try:
        found: list[Any] = values.to_pylist()
    except (OverflowError, ValueError):
        return [_plain(value) for value in values]
    return found


def _plain(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        kind = type(value)
    if kind is pa.MapScalar:
        return [(_plain(each["key"]), _plain(each["value"])) for each in value.values]
    if issubclass(kind, pa.ListScalar):
        return [_plain(each) for each in value.values]
    if kind is pa.StructScalar:
        return {field.name: _plain(value[number]) for number, field in enumerate(value.type)}
    return _plain(value.value) if kind is pa.DictionaryScalar else value.value


def text(column: pd.Series) -> pd.Series:
    """A column as text: dtype string[pyarrow], with the same index; null stays null."""
    return series(arrow(column).cast(pa.string()), column)


def is_text(kind: pa.DataType) -> bool:
    """Whether ``kind`` is string, large_string or string_view, or a dictionary of one of them."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def is_bytes(kind: pa.DataType) -> bool:
    """Whether ``kind`` is binary, large_binary or fixed_size_binary, or a dictionary of one of them."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)


def has_bytes(kind: pa.DataType) -> bool:
    """Whether ``kind`` contains bytes at any depth, as a list of binary does."""
    return is_bytes(kind) or any(has_bytes(kind.field(number).type) for number in range(kind.num_fields))


def not_utf8(column: pd.Series) -> pd.Series:
    """Where the values of a column contain bytes that are not UTF-8, at any depth: NumPy bool, with the same index."""
    bad = [_holds_bad_bytes(value) for value in plain(arrow(column))]
    return pd.Series(bad, index=column.index, dtype=bool)


def _holds_bad_bytes(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_bad_bytes, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds_bad_bytes, value))
    return isinstance(value, bytes) and _decoded(value) is _NOT_UTF8


def decoded(column: pd.Series) -> tuple[pd.Series, pd.Series]:
    """The text of a column of bytes, and where the bytes are not UTF-8.

    Takes a column of a type for which ``is_bytes`` holds. Returns two columns with its index: the text as
    large_string[pyarrow], null where the bytes are null or not UTF-8; and NumPy bool, True where they are not UTF-8.
    """
    texts = [_decoded(value) for value in arrow(column).to_pylist()]
    bad = pd.Series([each is _NOT_UTF8 for each in texts], index=column.index, dtype=bool)
    kept = pa.array([None if each is _NOT_UTF8 else each for each in texts], pa.large_string())
    return series(kept, column), bad


def _decoded(value: bytes | None) -> object:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return _NOT_UTF8


def whole_seconds(column: pd.Series) -> pd.Series:
    """A column of times as whole seconds since the epoch, whatever type the writer gave them.

    Takes integers, decimals and floats of seconds, timestamps of any unit and zone (Parquet's INT96 is one; without a
    zone it is UTC), and text of up to 18 digits; each also dictionary-encoded. Returns int64[pyarrow] with the same
    index, rounded down, and null where the value is null, unusable, or outside the years 1 to 9999.
    """
    values = arrow(column)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    seconds = _seconds(values)
    if seconds is None:
        return series(pa.nulls(len(values), pa.int64()), column)
    return series(pc.if_else(has_year(seconds), seconds, None), column)


def has_year(seconds: pa.Array) -> pa.Array:
    """Whether each number of seconds since the epoch, int64, is in the years 1 to 9999: bool, null for null."""
    return pc.and_(pc.greater_equal(seconds, _FIRST_SECOND), pc.less_equal(seconds, _LAST_SECOND))


def seconds_of(moments: pa.Array) -> pa.Array:
    """The whole seconds since the epoch of timestamps of any unit and zone, rounded down: int64, null for null."""
    floored = pc.floor_temporal(moments, unit="second")
    return floored.cast(pa.timestamp("s", tz=moments.type.tz), safe=False).cast(pa.int64())


def _seconds(values: pa.Array) -> pa.Array | None:
    kind = values.type
    if pa.types.is_uint64(kind):
        values = pc.if_else(pc.less_equal(values, pa.scalar(_LAST_SECOND, kind)), values, None)
    if pa.types.is_integer(kind):
        return values.cast(pa.int64())
    if pa.types.is_timestamp(kind):
        return seconds_of(values)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        floored = pc.floor(values.cast(pa.float64()))
        return pc.if_else(pc.less_equal(pc.abs(floored), float(_LAST_SECOND)), floored, None).cast(pa.int64())
    if is_text(kind):
        numeric = pc.match_substring_regex(values, r"^\s*-?\d{1,18}\s*$")
        return pc.utf8_trim_whitespace(pc.if_else(numeric, values, None)).cast(pa.int64())
    return None
