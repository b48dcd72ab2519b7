"""An Avro object container file, with the columns of its own writer schema.

If DataFusion is installed, it decodes what Braze writes, straight into Arrow columns. Everything else goes through
fastavro record by record, ten times slower: types that no Currents file has so far, and text that is not UTF-8.

Source: https://avro.apache.org/docs/1.12.0/specification/#object-container-files
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import fastavro
import pyarrow as pa

from currents_core.counted import counted
from currents_core.errors import FileError, is_of_the_machine
from currents_core.reading.avro_blocks import Header, Window, blocks, rows_like_first, windows
from currents_core.reading.avro_cost import growth
from currents_core.reading.cost import AVRO_BYTES, BLOCK_BYTES, HEADER_BYTES, ROWS, require
from currents_core.reading.mapped import mapped
from currents_core.reading.utf8 import bytes_for_text

log = logging.getLogger(__name__)

# Braze names the record of a storage file after its event type.
# Source: https://github.com/Appboy/currents-examples
_RECORD_PREFIX = "dataexport.S3.inner."
_TOO_MUCH = "values that take much more memory than they have bytes; write smaller blocks, or none such"
# Records that exist as Python objects at the same time: few enough to stay in the processor's cache.
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
    """The Avro file at ``path``: its ``schema``, its ``rows``, and the ``event_type`` that its record's name tells.

    Raises FileError, without the name of the file, if it can't be read or is cut off.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            data = mapped(path)
            self._header, schema = _header(BytesIO(data[:HEADER_BYTES]))
            self._growth = growth(schema)
            self.schema = pa.schema([(field["name"], _arrow_type(field["type"])) for field in schema["fields"]])
            # All blocks are looked at before any row is sent.
            self.rows = sum(block.rows for block in blocks(data, self._header))
            require("rows", self.rows, ROWS)
        except Exception as error:
            raise _unreadable(error) from error
        self.event_type = _event_type(schema)

    def batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        """The rows in the order of the file, as record batches of ``schema`` with at most ``rows`` rows.

        A string column is dictionary-encoded (int32 indices) in a batch where that saves work. Raises FileError if the
        file is damaged, has another number of rows than it announces, or takes more than a file may cost.
        """
        done = 0
        for batch in self._all_batches(rows):
            done += batch.num_rows
            yield pa.RecordBatch.from_arrays([_compact(each) for each in batch.columns], names=self.schema.names)
        if done != self.rows:
            raise FileError(f"not a complete Avro file: it announces {counted(self.rows, 'row')}, but has {done:,}")

    def _all_batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        done, told = 0, _datafusion() is None
        try:
            most = min(BLOCK_BYTES, AVRO_BYTES // self._growth.arrow)
            for window in windows(mapped(self._path), self._header, most):
                if sum(window.sizes) * self._growth.arrow > 2 * AVRO_BYTES:
                    raise FileError(_TOO_MUCH)
                decoded = self._decoded(window, rows)
                if decoded is None and not told:
                    log.info("reading an Avro file record by record from row %d on, which is slower", done)
                    told = True
                yield from self._record_by_record(window, rows) if decoded is None else decoded
                done += window.rows
        except Exception as error:
            raise _unreadable(error) from error

    def _decoded(self, window: Window, rows: int) -> list[pa.RecordBatch] | None:
        """The rows of a small file, or None if DataFusion is missing or can't read it as what it is."""
        if not _datafusion():
            return None
        try:
            batches = _by_datafusion(window, rows)
        except Exception as error:
            if is_of_the_machine(error):
                raise
            # Whatever it was, fastavro now reads the file or says what is wrong.
            log.debug("DataFusion stopped: %s", type(error).__name__)
            return None
        return batches if all(batch.schema.types == self.schema.types for batch in batches) else None

    def _record_by_record(self, window: Window, rows: int) -> Iterator[pa.RecordBatch]:
        # All of a block may be a single record.
        if max(window.sizes) * self._growth.item > 2 * AVRO_BYTES:
            raise FileError(_TOO_MUCH)
        each = self._growth.record + sum(window.sizes) * self._growth.item // window.rows
        few = max(1, min(_RECORDS, AVRO_BYTES // each))
        struct = pa.struct(list(self.schema))
        records = iter(_records(BytesIO(b"".join(window.parts))))
        while True:
            structs = [_structs(records, min(few, rows - at), struct) for at in range(0, rows, few)]
            batch = pa.RecordBatch.from_struct_array(pa.concat_arrays(structs))
            if not batch.num_rows:
                return
            yield batch


def rows_likely(head: bytes, size: int) -> int:
    """How many rows an Avro file of ``size`` bytes has if its blocks are like the first; ``head`` is its beginning.

    Raises FileError if these are more than a file may have, if it is damaged there, or if ``head`` is too short for the
    header.
    """
    try:
        rows = rows_like_first(memoryview(head), _header(BytesIO(head))[0], size)
        require("rows", rows, ROWS)
    except Exception as error:
        raise _unreadable(error) from error
    return rows


def _header(head: BytesIO) -> tuple[Header, Any]:
    """The header of a file that begins with ``head``, and its schema as fastavro knows it."""
    records: Any = _records(head)
    metadata = records.metadata
    codec = metadata.get("avro.codec", "null")
    return Header(metadata["avro.schema"], codec, records._header["sync"], head.tell()), records.writer_schema


@cache
def _datafusion() -> Any:
    """The module `datafusion`, or None if it can't be imported, which one log line per process says."""
    try:
        import datafusion  # noqa: PLC0415 - it may be missing, and Parquet files do not need it
    except ImportError as error:
        log.warning(
            "DataFusion can't be imported (%s), so Avro files are read record by record, about ten times slower; "
            "install currents-export[avro]",
            error,
        )
        return None
    return datafusion


@cache
def _session(rows: int) -> Any:
    # One partition keeps the rows in order, and the task on one core.
    config = _datafusion().SessionConfig().with_target_partitions(1).with_batch_size(rows)
    return _datafusion().SessionContext(config)


def _by_datafusion(window: Window, rows: int) -> list[pa.RecordBatch]:
    # It has no name, so that nothing of the rows is left however the process ends; but DataFusion wants a path.
    # Source: https://man7.org/linux/man-pages/man5/proc_pid_fd.5.html
    with TemporaryFile() as file:
        file.writelines(window.parts)
        file.flush()
        stream = _session(rows).read_avro(f"/proc/self/fd/{file.fileno()}", file_extension="").execute_stream()
        return [batch.to_pyarrow() for batch in stream]


def _records(body: IO[bytes]) -> Any:
    # Bytes that are not UTF-8 become lone surrogates, so that they cost their row and not the whole file.
    return fastavro.reader(body, handle_unicode_errors="surrogateescape")


def _structs(records: Iterator[Any], count: int, struct: pa.DataType) -> pa.Array:
    """The next ``count`` records, or as many as are left, as an Arrow array of type ``struct``."""
    taken = list(islice(records, count))
    try:
        return pa.array(taken, struct)
    except UnicodeEncodeError:
        return pa.array([_as_bytes(each) for each in taken], bytes_for_text(struct)).cast(struct, safe=False)


def _compact(column: pa.Array) -> pa.Array:
    """A string column as a dictionary if its values repeat: hashing them costs less than escaping each.

    Takes and returns an Arrow array of the same length and values; other types stay as they are.
    """
    if not pa.types.is_string(column.type):
        return column
    encoded = column.dictionary_encode()
    return encoded if len(encoded.dictionary) * 2 < len(column) else column


def _as_bytes(value: Any) -> Any:
    """A value of a record with every text replaced by its bytes in the file."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, dict):
        return {name: _as_bytes(each) for name, each in value.items()}
    return [_as_bytes(each) for each in value] if isinstance(value, list) else value


def _unreadable(error: Exception) -> Exception:
    """A FileError for whatever a reader raises over the bytes of a damaged file; what the machine lacks stays as is."""
    if isinstance(error, FileError) or is_of_the_machine(error):
        return error
    # A reader's own text may contain values from records.
    return FileError(f"not a readable Avro file ({type(error).__name__})")


def _event_type(schema: Any) -> str | None:
    name = str(schema.get("name", ""))
    return name.removeprefix(_RECORD_PREFIX) if name.startswith(_RECORD_PREFIX) else None


def _arrow_type(avro: Any) -> pa.DataType:
    """The Arrow type of an Avro schema. An optional field has its plain type: any Arrow column may contain nulls."""
    if isinstance(avro, list):
        types = [each for each in avro if each != "null"] or ["null"]
        if len(types) > 1:
            raise FileError("a field has several types, which no Currents file does")
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
