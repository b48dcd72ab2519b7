"""Text that is not UTF-8: readers do not look, so it is found here, and comes as bytes for the rules to deal with."""

from __future__ import annotations

import pyarrow as pa

from currents_core.errors import FileError


def with_valid_text(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch, with columns of bytes in place of those whose text is not all UTF-8.

    Raises FileError, without the file's name, where values are damaged in another way.
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
    """The same type with bytes wherever it has text."""
    if pa.types.is_list(kind):
        return pa.list_(bytes_for_text(kind.value_type))
    if pa.types.is_map(kind):
        return pa.map_(bytes_for_text(kind.key_type), bytes_for_text(kind.item_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(each.name, bytes_for_text(each.type)) for each in kind])
    return {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}.get(kind, kind)
