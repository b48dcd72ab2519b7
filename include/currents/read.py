"""Reads a file batch by batch into pandas frames with Arrow-backed columns; content, not its name, tells the format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import IO

import pandas as pd
import pyarrow as pa

from include.currents.catalog import catalog
from include.currents.errors import FileError
from include.currents.read_avro import AVRO_MAGIC, AvroFile
from include.currents.read_parquet import PARQUET_MAGIC, ParquetFile

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


def read(body: IO[bytes], name: str, *, batch_rows: int = BATCH_ROWS) -> Contents:
    """Opens a Parquet or Avro file, which ``name`` names in messages; ``body`` is seekable.

    Raises FileError, here or while the batches are read, where the file is damaged, of another format, or holds none
    of the fields of Currents.
    """
    file = _open(body, name)
    _check_schema(file.schema, name)
    return Contents(file.schema, file.event_type, _frames(file, name, batch_rows))


def _open(body: IO[bytes], name: str) -> ParquetFile | AvroFile:
    magic = body.read(4)
    body.seek(0)
    formats: dict[bytes, type[ParquetFile | AvroFile]] = {PARQUET_MAGIC: ParquetFile, AVRO_MAGIC: AvroFile}
    if magic not in formats:
        raise FileError(f"{name}: neither a Parquet nor an Avro file: it begins with {magic!r}; {_REMEDY}")
    try:
        return formats[magic](body)
    except FileError as error:
        raise FileError(f"{name}: {error}; {_REMEDY}") from error


def _check_schema(schema: pa.Schema, name: str) -> None:
    if known_fields().isdisjoint(schema.names):
        found = ", ".join(schema.names[:10]) or "no column"
        raise FileError(
            f"{name}: no column of a Currents event in it: expected id, time, user_id or others of the event glossary, "
            f"found {found}; {_REMEDY}"
        )


@cache
def known_fields() -> frozenset[str]:
    """The names of all documented fields."""
    return frozenset(field for event_type in catalog().values() for field in event_type.fields)


def _frames(file: ParquetFile | AvroFile, name: str, batch_rows: int) -> Iterator[pd.DataFrame]:
    row = 0
    try:
        for batch in file.batches(batch_rows):
            frame = _valid(batch).to_pandas(types_mapper=pd.ArrowDtype)
            yield frame.set_axis(pd.RangeIndex(row, row + len(frame)))
            row += len(frame)
    except FileError as error:
        raise FileError(f"{name}: {error}; {_REMEDY}") from error


def _valid(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with columns of bytes in place of text that is not UTF-8, which no reader checks."""
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        columns = [_valid_column(column) for column in batch.columns]
        return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
    return batch


def _valid_column(column: pa.Array) -> pa.Array:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        try:
            return plain.cast(_bytes_for_text(plain.type))
        except pa.ArrowException:
            raise FileError(f"damaged values ({first_line(error)})") from error
    return column


def _bytes_for_text(kind: pa.DataType) -> pa.DataType:
    """The same type with bytes wherever it has text."""
    if pa.types.is_list(kind):
        return pa.list_(_bytes_for_text(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(each.name, _bytes_for_text(each.type)) for each in kind])
    return {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}.get(kind, kind)


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]
