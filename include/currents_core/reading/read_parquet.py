"""A Parquet file, read by pyarrow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from currents_core.errors import FileError, is_of_the_machine

PARQUET_MAGIC = b"PAR1"

# A column with fewer bytes per value than this, on average, counts as repetitive.
_DICTIONARY_BYTES = 4
# How much of a column is read at a time.
_BUFFER_BYTES = 1 << 18


class ParquetFile:
    """The Parquet file at ``path``, and its ``schema``. A Parquet schema names no event type.

    Raises FileError, without the name of the file, if it can't be read.
    """

    event_type = None

    def __init__(self, path: Path) -> None:
        try:
            repetitive = _repetitive(pq.read_metadata(path))
            # Without these two options, pyarrow reads whole columns ahead, and memory grows with the file.
            self._file = pq.ParquetFile(path, read_dictionary=repetitive, pre_buffer=False, buffer_size=_BUFFER_BYTES)
            self.schema = self._file.schema_arrow
        except Exception as error:
            raise _unreadable(error) from error

    def batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        """The rows in the order of the file, as record batches of ``schema`` with at most ``rows`` rows.

        Repetitive columns are dictionary-encoded (int32 indices). Raises FileError if the file is damaged.
        """
        batches = self._file.iter_batches(batch_size=rows, use_threads=False)
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except Exception as error:
                raise _unreadable(error) from error
            yield batch


def _unreadable(error: Exception) -> Exception:
    """A FileError for whatever pyarrow raises over the bytes of a damaged file; what the machine lacks stays as is."""
    if is_of_the_machine(error):
        return error
    first_line = (str(error).splitlines() or [type(error).__name__])[0]
    return FileError(f"not a readable Parquet file ({first_line})")


def _repetitive(metadata: pq.FileMetaData) -> list[str]:
    """The names of the columns with few distinct values. Read as dictionaries, each of these values is encoded once.

    A writer that keeps the dictionary of a column spends a few bits per value; one that gave it up writes whole values.
    """
    sizes, counts = Counter[str](), Counter[str]()
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            if column.has_dictionary_page:
                sizes[column.path_in_schema] += column.total_uncompressed_size
                counts[column.path_in_schema] += column.num_values
    return [name for name, size in sizes.items() if size < _DICTIONARY_BYTES * counts[name]]
