"""A Parquet file, read by pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from currents_core.errors import FileError, is_of_the_machine
from currents_core.reading.parquet_layout import layout

PARQUET_MAGIC = b"PAR1"

# How much of a column is read at a time.
_BUFFER_BYTES = 1 << 18


class ParquetFile:
    """The Parquet file at ``path``, and its ``schema``. A Parquet schema names no event type.

    Raises FileError, without the name of the file, if it can't be read within what a file may cost.
    """

    event_type = None

    def __init__(self, path: Path) -> None:
        try:
            self._layout = layout(path)
            # Without the last two options, pyarrow reads whole columns ahead, and memory grows with the file.
            self._file = pq.ParquetFile(
                path, read_dictionary=self._layout.dictionaries, pre_buffer=False, buffer_size=_BUFFER_BYTES
            )
            self.schema = self._file.schema_arrow
        except Exception as error:
            raise _unreadable(error) from error

    def batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        """The rows in the order of the file, as record batches of ``schema`` with at most ``rows`` rows.

        Text columns with dictionary pages are dictionary-encoded (int32 indices). Raises FileError if the file is
        damaged.
        """
        batches = self._file.iter_batches(batch_size=min(rows, self._layout.batch_rows), use_threads=False)
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
    if isinstance(error, FileError) or is_of_the_machine(error):
        return error
    lines = str(error).splitlines() if isinstance(error, ValueError | OSError) else ()
    return FileError(f"not a readable Parquet file ({lines[0] if lines else type(error).__name__})")
