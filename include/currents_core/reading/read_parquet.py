"""A Parquet file, by pyarrow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from currents_core.errors import FileError

PARQUET_MAGIC = b"PAR1"

# Bytes per value, on average, below which a column counts as repetitive.
_DICTIONARY_BYTES = 4
_BUFFER_BYTES = 1 << 18


class ParquetFile:
    """The file at ``path``. Raises FileError, without the file's name, where it can't be read."""

    event_type = None

    def __init__(self, path: Path) -> None:
        try:
            repetitive = _repetitive(pq.read_metadata(path))
            # Without these two, pyarrow reads whole columns ahead, and memory grows with the file.
            self._file = pq.ParquetFile(path, read_dictionary=repetitive, pre_buffer=False, buffer_size=_BUFFER_BYTES)
            self.schema = self._file.schema_arrow
        except Exception as error:
            raise _unreadable(error) from error

    def batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        """The rows, in order, at most ``rows`` at a time."""
        batches = self._file.iter_batches(batch_size=rows, use_threads=False)
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except Exception as error:
                raise _unreadable(error) from error
            yield batch


def _unreadable(error: Exception) -> FileError:
    """Whatever the bytes of a damaged file lead pyarrow to raise, it means the same."""
    first_line = (str(error).splitlines() or [type(error).__name__])[0]
    return FileError(f"not a readable Parquet file ({first_line})")


def _repetitive(metadata: pq.FileMetaData) -> list[str]:
    """The columns that hold few distinct values: read as dictionaries, each of those is encoded once.

    A writer that keeps a column as a dictionary needs a few bits per value; one that gave up needs whole values.
    """
    sizes, counts = Counter[str](), Counter[str]()
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            if column.has_dictionary_page:
                sizes[column.path_in_schema] += column.total_uncompressed_size
                counts[column.path_in_schema] += column.num_values
    return [name for name, size in sizes.items() if size < _DICTIONARY_BYTES * counts[name]]
