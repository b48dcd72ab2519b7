"""Makes files that are small, or look so, and want much memory when they are read. Each comes with its fate.

All of it is made by this script. A file is made when it is asked for, for some are large before they are compressed.
"""

from __future__ import annotations

import bz2
import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from io import BytesIO
from typing import Any, Literal, NamedTuple

import fastavro
import numpy as np
import pyarrow as pa

from currents_core.reading.avro_blocks import _as_long, _with_length
from tests.tools.hostile import parquet

Fate = Literal["sent", "parked", "failed"]
_CONTROL = "".join(map(chr, range(1, 32)))
_SYNC = bytes(16)
_SEVEN, _NULL = pa.scalar(7, pa.int32()), pa.scalar(None, pa.int32())
_WIDE = pa.scalar(Decimal("1" * 76), pa.decimal256(76, 0))
_ONE_PAGE: dict[str, Any] = {"data_page_size": 1 << 30, "write_batch_size": 1 << 20, "max_rows_per_page": 1 << 30}


class Case(NamedTuple):
    """A file to make, and the fate of its rows: all sent, all or some parked, or the file failed."""

    make: Callable[[], bytes]
    fate: Fate


def _ids(rows: int) -> dict[str, Any]:
    return {"id": [f"id {row}" for row in range(rows)], "time": range(rows)}


def _texts(rows: int, text: Callable[[int], str], **options: Any) -> bytes:
    """A file whose rows have these `properties`."""
    schema = pa.schema([("id", pa.string()), ("time", pa.int64()), ("properties", pa.large_string())])
    shared = pa.array([text(0)], pa.large_string()) if rows > 1 and text(0) == text(1) == text(rows - 1) else None
    if shared is not None:
        alike = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), shared)
        return parquet(pa.table({**_ids(rows), "properties": alike}), **options)
    values = pa.array(map(text, range(rows)), pa.large_string())
    return parquet(pa.table({**_ids(rows), "properties": values}, schema), **options)


def _columns(count: int, name: Callable[[int], str], rows: int) -> bytes:
    return parquet(pa.table({**_ids(rows), **{name(each): range(rows) for each in range(count)}}))


def _million(row: int) -> str:
    return f"{row:05d}" + "x" * 980_000


def _large_pages() -> bytes:
    columns = {f"c{number}": ["x" * 10_000 + str(row) for row in range(400)] for number in range(75)}
    return parquet(pa.table({**_ids(400), **columns}), use_dictionary=False, **_ONE_PAGE)


def _fixed(rows: int, length: int) -> bytes:
    values = pa.array([b"x" * length], pa.binary(length)).take(pa.array([0] * rows))
    return parquet(pa.table({**_ids(rows), "name": values}))


def _lists(rows: int, items: int, value: pa.Scalar) -> bytes:
    return parquet(pa.table({**_ids(rows), "media_urls": _repeated(value, rows, items)}))


def _repeated(value: pa.Scalar, rows: int, items: int) -> pa.Array:
    offsets = pa.array(range(0, rows * items + 1, items), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.repeat(value, rows * items))


def _large_dictionary() -> bytes:
    texts = pa.array([f"{number:05d}" * 10_000 for number in range(1_000)])
    places = pa.array([*range(1_000), *([0] * 99_000)], pa.int32())
    column = pa.DictionaryArray.from_arrays(places, texts)
    return parquet(pa.table({**_ids(100_000), "name": column}), dictionary_pagesize_limit=1 << 30)


def _bad_rows(rows: int) -> bytes:
    return parquet(pa.table({"id": pa.nulls(rows, pa.string()), "time": range(rows)}))


def _marked(texts: list[str], **options: Any) -> bytes:
    column = pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(texts))
    return parquet(pa.table({**_ids(len(texts)), "name": column}), **options)


def _many_texts(count: int) -> bytes:
    texts = pa.array(range(count)).cast(pa.string())
    column = pa.DictionaryArray.from_arrays(pa.array(np.arange(100_000, dtype=np.int32)), texts)
    options = {"dictionary_pagesize_limit": 1 << 30, "row_group_size": 1 << 30, "compression": "zstd"}
    return parquet(pa.table({**_ids(100_000), "name": column}), **options)


def _types_and_columns() -> bytes:
    nulls = {f"c{number}": pa.nulls(50, pa.int32()) for number in range(1_900)}
    return parquet(pa.table({**_ids(50), "event_type": [f"type {row}" for row in range(50)], **nulls}))


def _beside_lists(rows: int, items: int) -> bytes:
    texts = pa.array(["x" * 5_000_000]).dictionary_encode().take(pa.array([0] * rows))
    lists = _repeated(_SEVEN, rows, items)
    return parquet(pa.table({**_ids(rows), "media_urls": lists, "properties": texts}))


def _wide_rows(columns: int, length: int) -> bytes:
    text = pa.array(["x" * length]).dictionary_encode().take(pa.array([0] * 1_000))
    return parquet(pa.table({**_ids(1_000), **{f"c{number}": text for number in range(columns)}}))


def _types(count: int) -> bytes:
    return parquet(pa.table({**_ids(count * 10), "event_type": [f"type {row % count}" for row in range(count * 10)]}))


def _members(count: int) -> str:
    return json.dumps({f"a very long name {number}": number for number in range(count)})


_SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "r",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "time", "type": "long"},
        {"name": "properties", "type": ["null", "string"]},
    ],
}


def _avro(fields: list[dict[str, Any]], records: Iterable[dict[str, Any]], codec: str = "deflate") -> bytes:
    """A file whose records have these fields beside `id` and `time`."""
    sink = BytesIO()
    schema = {**_SCHEMA, "fields": [*_SCHEMA["fields"][:2], *fields]}
    fastavro.writer(sink, schema, ({"id": f"id {row}", "time": row, **each} for row, each in enumerate(records)), codec)
    return sink.getvalue()


def _avro_texts(rows: int, text: str, codec: str) -> bytes:
    return _avro(_SCHEMA["fields"][2:], [{"properties": text}] * rows, codec)


def _avro_lists(rows: int, items: int) -> bytes:
    numbers = {"name": "media_urls", "type": {"type": "array", "items": "long"}}
    # A map makes DataFusion leave the file to the slower reader, which holds Python objects.
    extra = {"name": "extra", "type": {"type": "map", "values": "long"}}
    return _avro([numbers, extra], [{"media_urls": list(range(100, 100 + items)), "extra": {}}] * rows)


def _avro_symbols(length: int) -> bytes:
    symbol = "A" * length
    field = {"name": "e", "type": {"type": "enum", "name": "e", "symbols": [symbol]}}
    return _avro([field], [{"e": symbol}] * 2_000)


def _avro_nulls() -> bytes:
    nulls = [{"name": f"n{number}", "type": "null"} for number in range(1_900)]
    return _avro_records(3, 10_000, nulls)


def _avro_records(rows: int, items: int, others: Sequence[dict[str, Any]] = ()) -> bytes:
    item = {"type": "record", "name": "q", "fields": [{"name": "i", "type": "int"}, *others]}
    field = {"name": "a", "type": {"type": "array", "items": item}}
    return _avro([field], [{"a": [{"i": 1}] * items}] * rows)


def _block(rows: int, data: bytes, codec: str) -> bytes:
    """A container file with one block."""
    pack = zlib.compressobj(wbits=-15)
    packed = {
        "null": lambda: data,
        "bzip2": lambda: bz2.compress(data),
        "deflate": lambda: pack.compress(data) + pack.flush(),
    }
    pairs = {"avro.schema": json.dumps(_SCHEMA), "avro.codec": codec}
    texts = b"".join(_with_length(text.encode()) for pair in pairs.items() for text in pair)
    head = b"Obj\x01" + _as_long(len(pairs)) + texts + _as_long(0) + _SYNC
    return head + _as_long(rows) + _with_length(packed[codec]()) + _SYNC


# Every file, by a name that says what is much in it.
CASES = {
    "10,000 rows of 100 KB, all alike": Case(lambda: _texts(10_000, lambda _: "x" * 100_000), "sent"),
    "300 rows of 5 MB, all alike": Case(lambda: _texts(300, lambda _: "x" * 5_000_000), "parked"),
    "500 rows of 100 KB, each its own": Case(lambda: _texts(500, lambda row: f"{row:05d}" * 20_000), "sent"),
    "3,000 rows of 100 KB, each its own": Case(lambda: _texts(3_000, lambda row: f"{row:05d}" * 20_000), "failed"),
    "3,000 rows of 100 KB without a dictionary": Case(
        lambda: _texts(3_000, lambda row: f"{row:05d}" * 20_000, use_dictionary=False), "sent"
    ),
    "300 rows of 900 KB without a dictionary": Case(
        lambda: _texts(300, lambda row: f"{row:05d}" * 180_000, use_dictionary=False), "sent"
    ),
    "1,000 rows of 30 KB of control characters": Case(
        lambda: _texts(1_000, lambda row: _CONTROL * 1_000 + str(row)), "sent"
    ),
    "10,000 rows of 3 KB of control characters": Case(
        lambda: _texts(10_000, lambda row: _CONTROL * 100 + str(row)), "sent"
    ),
    "a page of 300 MB": Case(lambda: _texts(300, _million, use_dictionary=False, **_ONE_PAGE), "sent"),
    "a page of 300 MB, all of it at its end": Case(
        lambda: _texts(10_000, lambda row: _million(row) if row >= 9_700 else "", use_dictionary=False, **_ONE_PAGE),
        "sent",
    ),
    "75 columns with pages of 4 MB": Case(_large_pages, "sent"),
    "a row of 50 MB": Case(lambda: _texts(2, lambda row: "x" * (1 + row * 50_000_000)), "parked"),
    "5 rows of 500 MB": Case(lambda: _texts(5, lambda _: "x" * 500_000_000), "failed"),
    "a page that grows a thousandfold": Case(
        lambda: _texts(40, lambda row: str(row) + "x" * 20_000_000, compression="gzip", use_dictionary=False),
        "failed",
    ),
    "1,500 columns of numbers in 10,000 rows": Case(
        lambda: _columns(1_500, lambda number: f"c{number}", 10_000), "sent"
    ),
    "500 columns with names of 1 KB": Case(lambda: _columns(500, lambda number: f"{number:01000d}", 1_000), "sent"),
    "texts that share their beginning": Case(
        lambda: _texts(
            2_000,
            lambda row: "x" * 100_000 + str(row),
            use_dictionary=False,
            column_encoding={"properties": "DELTA_BYTE_ARRAY"},
            data_page_size=1 << 30,
        ),
        "sent",
    ),
    "long values of fixed length": Case(lambda: _fixed(2_000, 200_000), "sent"),
    "a list of 5,000,000 nulls": Case(lambda: _lists(1, 5_000_000, _NULL), "parked"),
    "10,000 lists of 500 numbers": Case(lambda: _lists(10_000, 500, _SEVEN), "sent"),
    "a list of 50,000,000 nulls": Case(lambda: _lists(1, 50_000_000, _NULL), "failed"),
    "a dictionary of 50 MB": Case(_large_dictionary, "sent"),
    "300,000 rows without an id": Case(lambda: _bad_rows(300_000), "parked"),
    "1,000 event types": Case(lambda: _types(1_000), "failed"),
    "properties of 100,000 members": Case(lambda: _texts(100, lambda _: _members(100_000)), "parked"),
    "columns marked as JSON": Case(lambda: _marked(["x" * 100_000] * 5_000), "sent"),
    "columns marked as JSON, of control characters": Case(
        lambda: _marked([_CONTROL * 193 + str(row) for row in range(10_000)], use_dictionary=False), "sent"
    ),
    "lists of 20,000 wide decimals": Case(lambda: _lists(100, 20_000, _WIDE), "parked"),
    "a dictionary of 6,000,000 texts": Case(lambda: _many_texts(6_000_000), "failed"),
    "50 event types and 1,900 columns": Case(_types_and_columns, "failed"),
    "texts that share their beginning in one page": Case(
        lambda: _texts(
            20_000,
            lambda row: f"{row:060d}" + "x" * 600,
            use_dictionary=False,
            column_encoding={"properties": "DELTA_BYTE_ARRAY"},
            **_ONE_PAGE,
        ),
        "failed",
    ),
    "rows of 5 MB beside lists": Case(lambda: _beside_lists(1_000, 4_000), "parked"),
    "rows of 1,000 columns of 16 KB": Case(lambda: _wide_rows(1_000, 16_000), "parked"),
    "Avro, symbols of 900 KB": Case(lambda: _avro_symbols(900_000), "failed"),
    "Avro, lists of records of nulls": Case(_avro_nulls, "failed"),
    "Avro, a list of 6,000,000 records": Case(lambda: _avro_records(1, 6_000_000), "failed"),
    "Avro, 10,000 rows of 100 KB": Case(lambda: _avro_texts(10_000, "x" * 100_000, "deflate"), "sent"),
    "Avro, 10,000 rows of 100 KB in bzip2": Case(lambda: _avro_texts(10_000, "x" * 100_000, "bzip2"), "sent"),
    "Avro, a row of 10 MB": Case(lambda: _avro_texts(2, "x" * 10_000_000, "deflate"), "parked"),
    "Avro, rows of 1,000,000 numbers": Case(lambda: _avro_lists(20, 1_000_000), "parked"),
    "Avro, a block that grows a thousandfold": Case(lambda: _block(3, bytes(500_000_000), "deflate"), "failed"),
    "Avro, a block that grows a millionfold": Case(lambda: _block(3, bytes(500_000_000), "bzip2"), "failed"),
    "Avro, a block of a billion rows": Case(lambda: _block(1_000_000_000, b"", "null"), "failed"),
}
