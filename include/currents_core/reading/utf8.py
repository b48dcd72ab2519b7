"""Text that is not UTF-8. Readers do not check it, so it is found here and passed on as bytes."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from currents_core.errors import FileError


def with_valid_text(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with each column that has text that is not UTF-8 replaced by a column of its bytes.

    Such a column has the type that ``bytes_for_text`` gives, and is not dictionary-encoded. All others, and the number
    of rows, stay as they are. Raises FileError, without the name of the file, if values are damaged in another way.
    """
    try:
        batch.validate(full=True)
    except pa.ArrowException:
        columns = [_valid(column) for column in batch.columns]
        return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
    return batch


def _valid(column: pa.Array) -> pa.Array:
    try:
        column.validate(full=True)
    except pa.ArrowException as error:
        try:
            plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
            return plain.cast(bytes_for_text(plain.type))
        except pa.ArrowException:
            raise FileError(f"damaged values ({type(error).__name__})") from error
    return column


def bytes_for_text(kind: pa.DataType) -> pa.DataType:
    """The Arrow type ``kind`` with binary for string and large_binary for large_string.

    This also holds inside lists, maps and structs, where a dictionary becomes plain; other types stay as they are.
    """
    if pa.types.is_map(kind):
        return pa.map_(bytes_for_text(kind.key_type), bytes_for_text(kind.item_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(each.name, bytes_for_text(each.type)) for each in kind])
    for matches, like in _HOLDING_VALUES:
        if matches(kind):
            return like(bytes_for_text(kind.value_type), kind)
    return {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}.get(kind, kind)


_HOLDING_VALUES: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType, pa.DataType], pa.DataType]], ...] = (
    (pa.types.is_dictionary, lambda value, _: value),
    (pa.types.is_list, lambda value, _: pa.list_(value)),
    (pa.types.is_large_list, lambda value, _: pa.large_list(value)),
    (pa.types.is_fixed_size_list, lambda value, kind: pa.list_(value, kind.list_size)),
)
