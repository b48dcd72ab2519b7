"""Cuts record batches by the bytes that their rows will have as JSON, before any of that JSON exists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from currents_core.reading.cost import BATCH_BYTES, ROW_BYTES, VALUE_BYTES

# The JSON of a member beside its name and a text: escaped quotes, a colon and a comma, and most of a number.
_MEMBER_BYTES = 16
# The rest of a long number or of a timestamp.
_NUMBER_BYTES = 16
# A byte of text, which may have to be escaped, and one of a text of control characters, each of which has to be.
_TEXT_BYTES, _CONTROL_BYTES = 2, 7
# More control characters than this in one column are no line breaks.
_MANY = 1 << 20
# A dictionary below this is not worth a closer look.
_SMALL = 1 << 16

Sizes = npt.NDArray[np.int64]


def cut(batch: pa.RecordBatch) -> Iterator[tuple[pa.RecordBatch, bool]]:
    """The batch in pieces of at most BATCH_BYTES of JSON, and whether the rows of a piece are above ROW_BYTES.

    Such rows come without their long values: they are null. Dictionaries that are larger than what they stand for come
    as plain values. Raises pyarrow.ArrowException if the place of a value lies outside of its dictionary.
    """
    members = sum(len(name.encode()) + _MEMBER_BYTES for name in batch.schema.names)
    most = [_most_bytes(column) for column in batch.columns]
    fits = members * len(batch) + sum(total for total, _ in most) <= BATCH_BYTES
    if fits and members + sum(longest for _, longest in most) <= ROW_BYTES:
        yield _economical(batch), False
        return
    each = [row_bytes(column) for column in batch.columns]
    sizes = sum(each, np.full(len(batch), members, np.int64))
    is_too_large = sizes > ROW_BYTES
    short = sum((np.where(found > VALUE_BYTES, 0, found) for found in each), np.full(len(batch), members, np.int64))
    for start, stop in _bounds(np.where(is_too_large, short, sizes), is_too_large):
        piece = batch.slice(start, stop - start)
        if is_too_large[start]:
            piece = _without_long_values(piece, [found[start:stop] for found in each])
        yield _economical(piece), bool(is_too_large[start])


def row_bytes(values: pa.Array) -> Sizes:
    """The bytes of JSON that the text of each value may take, as BATCH_BYTES counts them: int64, one item per value.

    Each value inside a list, map or struct counts as a few more bytes, whatever its type.
    """
    for matches, measure in _MEASURES:
        if matches(values.type):
            return measure(values)
    return np.full(len(values), _longest_json(values.type), np.int64)


def _longest_json(kind: pa.DataType) -> int:
    """The longest JSON of a value without text, as far as it is longer than what each member is counted with."""
    if _is.is_decimal(kind):
        return int(kind.precision)
    return 0 if _is.is_null(kind) or _is.is_boolean(kind) else _NUMBER_BYTES


def _text(values: pa.Array) -> Sizes:
    return np.diff(_text_bounds(values)).astype(np.int64) * _weight(values)


def _text_bounds(values: pa.Array) -> npt.NDArray[Any]:
    """Where each text begins in the buffer of all, and where the last one ends."""
    if not len(values):
        return np.zeros(1, np.int64)
    width = np.int64 if values.type in {pa.large_string(), pa.large_binary()} else np.int32
    return np.frombuffer(values.buffers()[1], width)[values.offset : values.offset + len(values) + 1]


def _weight(values: pa.Array) -> int:
    """The bytes of JSON that a byte of these texts may take."""
    bounds = _text_bounds(values)
    start, stop = int(bounds[0]), int(bounds[-1])
    if stop - start <= _MANY:
        return _TEXT_BYTES
    data = values.buffers()[2]
    # A part at a time, since each comparison takes as much memory as what it looks at.
    parts = (np.frombuffer(data, np.uint8, min(_MANY, stop - at), at) for at in range(start, stop, _MANY))
    controls = sum(int(np.count_nonzero(part < ord(" "))) for part in parts)
    return _CONTROL_BYTES if controls > _MANY else _TEXT_BYTES


def _fixed_text(values: pa.Array) -> Sizes:
    return np.full(len(values), _TEXT_BYTES * values.type.byte_width, np.int64)


def _dictionary(values: pa.Array) -> Sizes:
    return _at(row_bytes(values.dictionary), values.indices)


def _struct(values: pa.Array) -> Sizes:
    names = sum(len(child.name.encode()) + _MEMBER_BYTES for child in values.type)
    return sum(map(row_bytes, values.flatten()), np.full(len(values), names, np.int64))


def _map(values: pa.Array) -> Sizes:
    return _sums(values.offsets, row_bytes(values.keys) + row_bytes(values.items) + 2 * _MEMBER_BYTES)


def _list(values: pa.Array) -> Sizes:
    return _sums(values.offsets, row_bytes(values.values) + _MEMBER_BYTES)


def _fixed_list(values: pa.Array) -> Sizes:
    valid = np.asarray(values.is_valid())
    items = row_bytes(values.flatten()) + _MEMBER_BYTES
    # Flattening leaves out what belongs to a null.
    sums = np.zeros(len(values), np.int64)
    sums[valid] = items.reshape(int(valid.sum()), values.type.list_size).sum(axis=1)
    return sums


_TEXTS = {pa.string(), pa.large_string(), pa.binary(), pa.large_binary()}
_is = pa.types
_MEASURES: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], Sizes]], ...] = (
    (lambda kind: kind in _TEXTS, _text),
    (_is.is_fixed_size_binary, _fixed_text),
    (_is.is_dictionary, _dictionary),
    (_is.is_map, _map),
    (_is.is_struct, _struct),
    (lambda kind: _is.is_list(kind) or _is.is_large_list(kind), _list),
    (_is.is_fixed_size_list, _fixed_list),
)


def _at(sizes: Sizes, places: pa.Array) -> Sizes:
    return np.asarray(pc.fill_null(pa.array(sizes).take(places), 0), np.int64)


def _sums(offsets: pa.Array, sizes: Sizes) -> Sizes:
    """The sum of the sizes of each list's items."""
    before = np.concatenate([[0], np.cumsum(sizes)])
    return np.diff(before[np.asarray(offsets, np.int64)])


def _most_bytes(values: pa.Array) -> tuple[int, int]:
    """No less than the sum and the largest of ``row_bytes``, and quicker to find."""
    if pa.types.is_dictionary(values.type):
        longest = int(row_bytes(values.dictionary).max(initial=0))
        return len(values) * longest, longest
    if values.type in _TEXTS:
        bounds, weight = _text_bounds(values), _weight(values)
        return int(bounds[-1] - bounds[0]) * weight, int(np.diff(bounds).max(initial=0)) * weight
    if pa.types.is_nested(values.type) or pa.types.is_fixed_size_binary(values.type):
        sizes = row_bytes(values)
        return int(sizes.sum()), int(sizes.max(initial=0))
    longest = _longest_json(values.type)
    return len(values) * longest, longest


def _bounds(sizes: Sizes, is_too_large: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """The first row of each piece, and the row after its last. No piece has rows of both kinds."""
    ends, start = np.cumsum(sizes), 0
    changes = [*(np.flatnonzero(np.diff(is_too_large)) + 1).tolist(), len(sizes)]
    for change in changes:
        while start < change:
            before = ends[start] - sizes[start]
            stop = max(start + 1, int(np.searchsorted(ends, before + BATCH_BYTES, side="right")))
            stop = min(stop, change)
            yield start, stop
            start = stop


def _economical(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = batch.columns
    cheaper = [_without_costly_dictionary(column) for column in columns]
    if all(new is old for new, old in zip(cheaper, columns, strict=True)):
        return batch
    return pa.RecordBatch.from_arrays(cheaper, names=batch.schema.names)


def _without_costly_dictionary(column: pa.Array) -> pa.Array:
    """The column with plain values if its dictionary costs more than it saves; each of its values is encoded once."""
    if not pa.types.is_dictionary(column.type):
        return column
    dictionary = column.dictionary
    if len(dictionary) * 2 <= len(column) and (
        dictionary.nbytes < _SMALL or dictionary.nbytes * 2 < row_bytes(column).sum()
    ):
        return column
    return column.dictionary_decode()


def _without_long_values(rows: pa.RecordBatch, sizes: list[Sizes]) -> pa.RecordBatch:
    """The rows with null in place of each value above VALUE_BYTES; ``sizes`` has the bytes of each column's values."""
    places = np.arange(len(rows))
    columns = []
    for column, found in zip(rows.columns, sizes, strict=True):
        is_long = found > VALUE_BYTES
        columns.append(column.take(pa.array(places, mask=is_long)) if is_long.any() else column)
    return pa.RecordBatch.from_arrays(columns, names=rows.schema.names)
