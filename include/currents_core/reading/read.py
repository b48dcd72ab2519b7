"""Reads a file batch by batch into pandas frames. Its first bytes, not its name, tell the format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from currents_core.catalog import catalog
from currents_core.errors import FileError
from currents_core.reading.avro_blocks import AVRO_MAGIC
from currents_core.reading.cost import BATCH_ROWS, COLUMNS, require
from currents_core.reading.cut import cut
from currents_core.reading.parquet_footer import PARQUET_MAGIC
from currents_core.reading.read_avro import AvroFile
from currents_core.reading.read_parquet import ParquetFile
from currents_core.reading.utf8 import with_valid_text

_REMEDY = "replace or remove it"


class Batch(NamedTuple):
    """Rows that are read together: bounded in number and in bytes.

    ``frame`` has one row per row of the file. Its index is a RangeIndex of the row numbers in the file, which begin at
    0. Its columns are those of the file, with dtype ArrowDtype of the file's type; repetitive text may be
    dictionary-encoded. A text column with a value that is not UTF-8 in this batch has the type of the same bytes
    instead, binary for string.

    If ``is_oversized``, the batch is a single row that is too large to be prepared. Its long values are null.
    """

    frame: pd.DataFrame
    is_oversized: bool


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a file: its columns, the event type that its schema names or None, and its rows in batches.

    ``rows`` is how many rows it says it has.
    """

    schema: pa.Schema
    event_type: str | None
    rows: int
    batches: Iterator[Batch]


def read(path: Path, uri: str, *, batch_rows: int = BATCH_ROWS) -> Contents:
    """Opens the Parquet or Avro file at ``path``, which messages call ``uri``.

    A batch has at most ``batch_rows`` rows. Raises FileError, here or while the batches are read, if the file is
    damaged, in another format, or has no documented field as a column.
    """
    file = _open(path, uri)
    _check_schema(file.schema, uri)
    return Contents(file.schema, file.event_type, file.rows, _batches(file, uri, batch_rows))


def _open(path: Path, uri: str) -> ParquetFile | AvroFile:
    with path.open("rb") as body:
        magic = body.read(len(PARQUET_MAGIC))
    formats: dict[bytes, type[ParquetFile | AvroFile]] = {PARQUET_MAGIC: ParquetFile, AVRO_MAGIC: AvroFile}
    if magic not in formats:
        raise FileError(f"neither a Parquet nor an Avro file: it begins with {magic!r}; {_REMEDY}", uri=uri)
    try:
        file = formats[magic](path)
        require("columns", len(file.schema.names), COLUMNS)
    except FileError as error:
        raise FileError(f"{error}; {_REMEDY}", uri=uri) from error
    return file


def _check_schema(schema: pa.Schema, uri: str) -> None:
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise FileError(f"the column {twice[0]!r} is there more than once; {_REMEDY}", uri=uri)
    if known_fields().isdisjoint(schema.names):
        names = ", ".join(schema.names[:10]) or "no columns"
        raise FileError(
            f"no column is a field of a Currents event: expected id, time, user_id or others of the event glossary, "
            f"found {names}; {_REMEDY}",
            uri=uri,
        )


@cache
def known_fields() -> frozenset[str]:
    """The names of the documented fields of all event types."""
    return frozenset(field for event_type in catalog().values() for field in event_type.fields)


def _batches(file: ParquetFile | AvroFile, uri: str, batch_rows: int) -> Iterator[Batch]:
    row = 0
    try:
        for piece, is_oversized in _pieces(file, batch_rows):
            yield Batch(_frame(with_valid_text(piece), row), is_oversized)
            row += len(piece)
    except FileError as error:
        raise FileError(f"{error}; {_REMEDY}", uri=uri) from error


def _frame(batch: pa.RecordBatch, first: int) -> pd.DataFrame:
    # Much quicker than `to_pandas`, which also heeds what pandas notes in a file about the index that it had.
    columns = zip(batch.schema.names, map(pd.arrays.ArrowExtensionArray, batch.columns), strict=True)
    return pd.DataFrame(dict(columns), index=pd.RangeIndex(first, first + len(batch)), copy=False)


def _pieces(file: ParquetFile | AvroFile, batch_rows: int) -> Iterator[tuple[pa.RecordBatch, bool]]:
    for batch in file.batches(batch_rows):
        try:
            yield from cut(batch)
        except pa.ArrowException as error:
            raise FileError(f"damaged values ({type(error).__name__})") from error
