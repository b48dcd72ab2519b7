"""Reads a file batch by batch into pandas frames. Its first bytes, not its name, tell the format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import pyarrow as pa

from currents_core.catalog import catalog
from currents_core.errors import FileError
from currents_core.reading.read_avro import AVRO_MAGIC, AvroFile
from currents_core.reading.read_parquet import PARQUET_MAGIC, ParquetFile
from currents_core.reading.utf8 import with_valid_text

BATCH_ROWS = 10_000
_REMEDY = "replace or remove it"
# Braze documents at most 100 columns for an event type. Each costs time with every batch.
_MOST_COLUMNS = 2_000


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a file: its columns, the event type that its schema names or None, and its rows in batches.

    Each batch is a frame with one row per row of the file. Its index is a RangeIndex of the row numbers in the file,
    which begin at 0. Its columns are those of the file, with dtype ArrowDtype of the file's type; repetitive text may
    be dictionary-encoded. A text column with a value that is not UTF-8 in this batch has the type of the same bytes
    instead, binary for string.
    """

    schema: pa.Schema
    event_type: str | None
    batches: Iterator[pd.DataFrame]


def read(path: Path, uri: str, *, batch_rows: int = BATCH_ROWS) -> Contents:
    """Opens the Parquet or Avro file at ``path``, which messages call ``uri``.

    A batch has at most ``batch_rows`` rows. Raises FileError, here or while the batches are read, if the file is
    damaged, in another format, or has no documented field as a column.
    """
    file = _open(path, uri)
    _check_schema(file.schema, uri)
    return Contents(file.schema, file.event_type, _frames(file, uri, batch_rows))


def _open(path: Path, uri: str) -> ParquetFile | AvroFile:
    with path.open("rb") as body:
        magic = body.read(len(PARQUET_MAGIC))
    formats: dict[bytes, type[ParquetFile | AvroFile]] = {PARQUET_MAGIC: ParquetFile, AVRO_MAGIC: AvroFile}
    if magic not in formats:
        raise FileError(f"neither a Parquet nor an Avro file: it begins with {magic!r}; {_REMEDY}", uri=uri)
    try:
        return formats[magic](path)
    except FileError as error:
        raise FileError(f"{error}; {_REMEDY}", uri=uri) from error


def _check_schema(schema: pa.Schema, uri: str) -> None:
    if len(schema.names) > _MOST_COLUMNS:
        text = f"{len(schema.names):,} columns, over the limit of {_MOST_COLUMNS:,}; {_REMEDY}"
        raise FileError(text, uri=uri)
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


def _frames(file: ParquetFile | AvroFile, uri: str, batch_rows: int) -> Iterator[pd.DataFrame]:
    row = 0
    try:
        for batch in file.batches(batch_rows):
            # If pandas wrote the file, its notes about an index would turn columns such as the id into an index.
            frame = with_valid_text(batch).to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
            yield frame.set_axis(pd.RangeIndex(row, row + len(frame)))
            row += len(frame)
    except FileError as error:
        raise FileError(f"{error}; {_REMEDY}", uri=uri) from error
