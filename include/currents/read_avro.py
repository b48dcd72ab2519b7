"""An Avro object container file, by fastavro, with the columns that its own writer's schema says.

Source: https://avro.apache.org/docs/1.12.0/specification/#object-container-files
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any

import fastavro
import pyarrow as pa

from include.currents.errors import FileError
from include.currents.utf8 import bytes_for_text

AVRO_MAGIC = b"Obj\x01"

# Braze names the record of a storage file after its event type.
_RECORD_PREFIX = "dataexport.S3.inner."
_SYNC_BYTES = 16
# Records that are Python objects at once: few enough to stay in the processor's cache.
_RECORDS = 500

_PRIMITIVES = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "enum": pa.string(),
    "bytes": pa.binary(),
    "fixed": pa.binary(),
}
_LOGICAL = {
    "date": pa.date32(),
    "time-millis": pa.time32("ms"),
    "time-micros": pa.time64("us"),
    "timestamp-millis": pa.timestamp("ms", tz="UTC"),
    "timestamp-micros": pa.timestamp("us", tz="UTC"),
    "local-timestamp-millis": pa.timestamp("ms"),
    "local-timestamp-micros": pa.timestamp("us"),
    "uuid": pa.string(),
}


class AvroFile:
    """The file in ``body``. Raises FileError, without the file's name, where it can't be read."""

    def __init__(self, body: IO[bytes]) -> None:
        try:
            # Bytes that are no UTF-8 are carried as lone surrogates, so that they cost their row and not the file.
            self._records: Any = fastavro.reader(body, handle_unicode_errors="surrogateescape")
            schema: Any = self._records.writer_schema
            self.schema = pa.schema([(field["name"], _arrow_type(field["type"])) for field in schema["fields"]])
            self._struct = pa.struct(list(self.schema))
            self.event_type = _event_type(schema)
            header: Any = self._records._header
            _check_end(body, header["sync"])
        except Exception as error:
            raise _unreadable(error) from error

    def batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        """The rows, in order, at most ``rows`` at a time."""
        while True:
            try:
                structs = [self._structs(min(_RECORDS, rows - start)) for start in range(0, rows, _RECORDS)]
            except Exception as error:
                raise _unreadable(error) from error
            batch = pa.RecordBatch.from_struct_array(pa.concat_arrays(structs))
            if not batch.num_rows:
                return
            yield pa.RecordBatch.from_arrays([_compact(each) for each in batch.columns], names=self.schema.names)

    def _structs(self, count: int) -> pa.Array:
        """The next ``count`` records, or as many as there are."""
        records = list(islice(self._records, count))
        try:
            return pa.array(records, self._struct)
        except UnicodeEncodeError:
            return pa.array([_as_bytes(each) for each in records], bytes_for_text(self._struct)).cast(
                self._struct, safe=False
            )


def _compact(column: pa.Array) -> pa.Array:
    """Text as a dictionary, so that each of its distinct values is encoded once; hashing costs less than escaping."""
    if not pa.types.is_string(column.type):
        return column
    encoded = column.dictionary_encode()
    return encoded if len(encoded.dictionary) * 2 < len(column) else column


def _as_bytes(value: Any) -> Any:
    """A value with the bytes that stood in the file in place of every text."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, dict):
        return {name: _as_bytes(each) for name, each in value.items()}
    return [_as_bytes(each) for each in value] if isinstance(value, list) else value


def _unreadable(error: Exception) -> FileError:
    """Whatever the bytes of a damaged file lead fastavro to raise, it means the same."""
    if isinstance(error, FileError):
        return error
    # The texts of fastavro's errors may hold values of records.
    return FileError(f"not a readable Avro file ({type(error).__name__})")


def _check_end(body: IO[bytes], sync: bytes) -> None:
    """A file that was cut off ends without its sync marker; fastavro would take what is there for the whole."""
    place = body.tell()
    body.seek(-_SYNC_BYTES, os.SEEK_END)
    if body.read() != sync:
        raise FileError("not a whole Avro file: its end is missing")
    body.seek(place)


def _event_type(schema: Any) -> str | None:
    name = str(schema.get("name", ""))
    return name.removeprefix(_RECORD_PREFIX) if name.startswith(_RECORD_PREFIX) else None


def _arrow_type(avro: Any) -> pa.DataType:
    """The Arrow type of an Avro schema. Optional is no type of its own: every Arrow column may hold nulls."""
    if isinstance(avro, list):
        types = [each for each in avro if each != "null"] or ["null"]
        if len(types) > 1:
            raise FileError("a field may be of several types, which no Currents file has")
        return _arrow_type(types[0])
    return _PRIMITIVES[avro] if isinstance(avro, str) else _complex_type(avro)


def _complex_type(avro: Any) -> pa.DataType:
    match avro:
        case {"type": "record", "fields": fields}:
            return pa.struct([(field["name"], _arrow_type(field["type"])) for field in fields])
        case {"type": "array", "items": items}:
            return pa.list_(_arrow_type(items))
        case {"type": "map", "values": values}:
            return pa.map_(pa.string(), _arrow_type(values))
        case {"logicalType": "decimal", "precision": precision}:
            return pa.decimal128(precision, avro.get("scale", 0))
    return _LOGICAL.get(avro.get("logicalType")) or _arrow_type(avro["type"])
