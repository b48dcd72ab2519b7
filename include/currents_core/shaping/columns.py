"""Columns: between pandas and Arrow, and the few types that the envelope asks for."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_NOT_UTF8 = object()
# Years 1 to 9999, in seconds: the range of a timestamp of EventBridge. Milliseconds given as seconds fall outside.
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799


def arrow(column: pd.Series) -> pa.Array:
    """The Arrow array behind an Arrow-backed column, in one piece."""
    return pa.chunked_array(column.array.__arrow_array__()).combine_chunks()


def series(values: pa.Array, like: pd.Series) -> pd.Series:
    """A column of ``values``, as many as ``like`` has rows, with its index and name."""
    return pd.Series(pd.arrays.ArrowExtensionArray(values), index=like.index, name=like.name)


def text(column: pd.Series) -> pd.Series:
    """The column as strings (dtype string[pyarrow])."""
    return column.astype(pd.ArrowDtype(pa.string()))


def is_text(kind: pa.DataType) -> bool:
    """Whether a type holds strings, however wide, dictionary-encoded or not."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def is_bytes(kind: pa.DataType) -> bool:
    """Whether a type holds bytes, however wide, dictionary-encoded or not."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)


def decoded(column: pd.Series) -> tuple[pd.Series, pd.Series]:
    """A column of bytes as text (large_string), and where the bytes are not UTF-8 (bool); the text is null there."""
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
    """Times as seconds since the epoch (int64), whatever type the writer gave them; null where unusable.

    Taken are integers and decimals of seconds, timestamps of any unit (an INT96 of Parquet is one), and digits as text.
    """
    values = arrow(column)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    seconds = _seconds(values)
    if seconds is None:
        return series(pa.nulls(len(values), pa.int64()), column)
    in_range = pc.and_(pc.greater_equal(seconds, _FIRST_SECOND), pc.less_equal(seconds, _LAST_SECOND))
    return series(pc.if_else(in_range, seconds, None), column)


def _seconds(values: pa.Array) -> pa.Array | None:
    kind = values.type
    if pa.types.is_uint64(kind):
        values = pc.if_else(pc.less_equal(values, pa.scalar(_LAST_SECOND, kind)), values, None)
    if pa.types.is_integer(kind):
        return values.cast(pa.int64())
    if pa.types.is_timestamp(kind):
        floored = pc.floor_temporal(values, unit="second")
        return floored.cast(pa.timestamp("s", tz=kind.tz), safe=False).cast(pa.int64())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        floored = pc.floor(values.cast(pa.float64()))
        return pc.if_else(pc.less_equal(pc.abs(floored), float(_LAST_SECOND)), floored, None).cast(pa.int64())
    if is_text(kind):
        numeric = pc.match_substring_regex(values, r"^\s*-?\d{1,18}\s*$")
        return pc.utf8_trim_whitespace(pc.if_else(numeric, values, None)).cast(pa.int64())
    return None
