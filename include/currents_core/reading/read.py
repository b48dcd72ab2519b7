"""Reads a file batch by batch into pandas frames with Arrow-backed columns; content, not its name, tells the format."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a file: its columns, the event type that its schema names if any, and its rows in batches.

    Each batch is indexed by the rows' places in the file, from 0. Text columns are valid UTF-8; one with rows that
    are not comes as a column of bytes.
    """

    schema: pa.Schema
    event_type: str | None
    batches: Iterator[pd.DataFrame]


def read(path: Path, uri: str, *, batch_rows: int = BATCH_ROWS) -> Contents:
    """Opens a Parquet or Avro file, which messages call ``uri``.

    Raises FileError, here or while the batches are read, where the file is damaged, of another format, or holds none
    of the fields of Currents.
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
    if known_fields().isdisjoint(schema.names):
        names = ", ".join(schema.names[:10]) or "no columns"
        raise FileError(
            f"no column is a field of a Currents event: expected id, time, user_id or others of the event glossary, "
            f"found {names}; {_REMEDY}",
            uri=uri,
        )


@cache
def known_fields() -> frozenset[str]:
    """The names of all documented fields."""
    return frozenset(field for event_type in catalog().values() for field in event_type.fields)


def _frames(file: ParquetFile | AvroFile, uri: str, batch_rows: int) -> Iterator[pd.DataFrame]:
    row = 0
    try:
        for batch in file.batches(batch_rows):
            # What pandas noted about an index when it wrote the file would take columns away, such as the id.
            frame = with_valid_text(batch).to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
            yield frame.set_axis(pd.RangeIndex(row, row + len(frame)))
            row += len(frame)
    except FileError as error:
        raise FileError(f"{error}; {_REMEDY}", uri=uri) from error
