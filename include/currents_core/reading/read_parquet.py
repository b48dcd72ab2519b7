"""A Parquet file, read by pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from currents_core.counted import counted
from currents_core.errors import FileError, is_of_the_machine
from currents_core.reading.cost import BATCH_BYTES
from currents_core.reading.mapped import mapped
from currents_core.reading.parquet_footer import read_footer
from currents_core.reading.parquet_layout import layout

# How much of a column is read at a time.
_BUFFER_BYTES = 1 << 18
# Batches of fewer rows are put together, for each costs time.
_FEW = 1_000


class ParquetFile:
    """The Parquet file at ``path``, its ``schema`` and how many ``rows`` it has. A Parquet schema names no event type.

    Raises FileError, without the name of the file, if it can't be read within what a file may cost.
    """

    event_type = None

    def __init__(self, path: Path) -> None:
        try:
            data = mapped(path)
            footer = read_footer(data)
            self._layout = layout(data, footer)
            self._file = pq.ParquetFile(
                path,
                metadata=footer.metadata,
                read_dictionary=self._layout.dictionaries,
                arrow_extensions_enabled=False,
                # In nanoseconds, INT96 would only reach from 1677 to 2262, and wrap to other dates beyond.
                coerce_int96_timestamp_unit="us",
                # Without these two, pyarrow reads whole columns ahead, and memory grows with the file.
                pre_buffer=False,
                buffer_size=_BUFFER_BYTES,
            )
            self._uuids = {span.leaf.path for spans in footer.groups for span in spans if span.leaf.is_uuid}
            schema = self._file.schema_arrow
            self.rows = self._file.metadata.num_rows
            _require_dictionaries(schema, len(self._layout.dictionaries))
        except Exception as error:
            raise _unreadable(error) from error
        self.schema = pa.schema([self._as_text(field) for field in schema])

    def batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        """The rows in the order of the file, as record batches of ``schema`` with at most ``rows`` rows.

        Text columns with texts that repeat or are long are dictionary-encoded (int32 indices). Raises FileError if the
        file is damaged, or has another number of rows than it announces.
        """
        few, done = min(rows, self._layout.batch_rows), 0
        read = self._file.iter_batches(batch_size=few, use_threads=False)
        batches = read if few >= min(rows, _FEW) else _joined(read, rows)
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                break
            except Exception as error:
                raise _unreadable(error) from error
            done += batch.num_rows
            yield self._with_text(batch) if self._uuids else batch
        if done != self.rows:
            raise FileError(f"not a complete Parquet file: it announces {counted(self.rows, 'row')}, but has {done:,}")

    def _with_text(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        named = zip(batch.schema.names, batch.columns, strict=True)
        columns = [_uuids(column) if name in self._uuids else column for name, column in named]
        return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)

    def _as_text(self, field: pa.Field) -> pa.Field:
        return pa.field(field.name, pa.string()) if field.name in self._uuids else field


def _joined(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of up to ``rows``, if these take no more than BATCH_BYTES in memory."""
    held: list[pa.RecordBatch] = []
    length = size = 0
    for batch in batches:
        taken = batch.nbytes
        if held and (length + len(batch) > rows or size + taken > BATCH_BYTES):
            yield _one(held)
            held, length, size = [], 0, 0
        held.append(batch)
        length += len(batch)
        size += taken
    if held:
        yield _one(held)


def _one(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    [batch] = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks().to_batches()
    return batch


def _uuids(column: pa.Array) -> pa.Array:
    """The texts of a column of UUIDs, which Parquet has as 16 bytes each."""
    texts = pa.ExtensionArray.from_storage(pa.uuid(), column).to_pylist()
    return pa.array([None if text is None else str(text) for text in texts], pa.string())


def _require_dictionaries(schema: pa.Schema, count: int) -> None:
    """Raises FileError if a column has a type that no Currents file has, or fewer than ``count`` are dictionaries."""
    found = sum(_dictionaries(field.type) for field in schema)
    if found < count:
        raise FileError("texts of a type that no Currents file has")


def _dictionaries(kind: pa.DataType) -> int:
    """How many dictionaries of text a type holds. Raises FileError for a type that no Currents file has."""
    if any(matches(kind) for matches in _NESTED):
        return sum(_dictionaries(kind.field(number).type) for number in range(kind.num_fields))
    if _is.is_dictionary(kind):
        return 1
    if any(matches(kind) for matches in _PLAIN):
        return 0
    raise FileError(f"a column of the type {kind}, which no Currents file has")


_is = pa.types
_NESTED: tuple[Callable[[pa.DataType], bool], ...] = (
    _is.is_struct,
    _is.is_map,
    _is.is_list,
    _is.is_large_list,
    _is.is_fixed_size_list,
)
_PLAIN: tuple[Callable[[pa.DataType], bool], ...] = (
    _is.is_null,
    _is.is_boolean,
    _is.is_integer,
    _is.is_floating,
    _is.is_decimal,
    _is.is_temporal,
    _is.is_string,
    _is.is_large_string,
    _is.is_binary,
    _is.is_large_binary,
    _is.is_fixed_size_binary,
)


def _unreadable(error: Exception) -> Exception:
    """A FileError for whatever pyarrow raises over the bytes of a damaged file; what the machine lacks stays as is."""
    if isinstance(error, FileError) or is_of_the_machine(error):
        return error
    lines = str(error).splitlines() if isinstance(error, ValueError | OSError) else ()
    return FileError(f"not a readable Parquet file ({lines[0] if lines else type(error).__name__})")
