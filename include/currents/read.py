"""Reads a file batch by batch, into pandas frames with Arrow-backed columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import IO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.currents.errors import FileError

BATCH_ROWS = 10_000
# Bytes per value, on average, below which a column counts as repetitive.
_DICTIONARY_BYTES = 4


def read_batches(body: IO[bytes], name: str, *, batch_rows: int = BATCH_ROWS) -> Iterator[pd.DataFrame]:
    """The rows of a Parquet file in batches, each indexed by the rows' places in the file, from 0.

    ``body`` is seekable; ``name`` says in messages which file it is. Raises FileError where the file is damaged or
    of another format.
    """
    try:
        row = 0
        with pq.ParquetFile(body, read_dictionary=_repetitive(body)) as file:
            for batch in file.iter_batches(batch_size=batch_rows):
                # Parquet's own readers do not check that strings are UTF-8; everything after this relies on it.
                batch.validate(full=True)
                frame = batch.to_pandas(types_mapper=pd.ArrowDtype)
                yield frame.set_axis(pd.RangeIndex(row, row + len(frame)))
                row += len(frame)
    except (pa.ArrowException, OSError) as error:
        raise FileError(f"{name}: not a readable Parquet file ({_first_line(error)}); replace or remove it") from error


def _repetitive(body: IO[bytes]) -> list[str]:
    """The columns that hold few distinct values: read as dictionaries, each of those is encoded once.

    A writer that keeps a column as a dictionary needs a few bits per value; one that gave up needs whole values.
    """
    metadata = pq.read_metadata(body)
    sizes, counts = Counter[str](), Counter[str]()
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            if column.has_dictionary_page:
                sizes[column.path_in_schema] += column.total_uncompressed_size
                counts[column.path_in_schema] += column.num_values
    return [name for name, size in sizes.items() if size < _DICTIONARY_BYTES * counts[name]]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
