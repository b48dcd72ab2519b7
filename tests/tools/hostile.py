"""Makes hostile files and keys: what odd writers write, damage at every place, bad text in every kind of column.

All of it is made by this script, and the same for the same seed.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq

from tests.tools.sample import make_files

HOUR = "2026-11-23-08"
CUSTOM = "users.behaviors.CustomEvent"
ROWS = 20
[SAMPLE] = make_files([HOUR], [CUSTOM], rows=ROWS)
FORMATS = {
    "parquet": SAMPLE.body,
    "avro deflate": SAMPLE.avro("deflate"),
    "avro null": SAMPLE.avro("null"),
}


def fuzzed() -> dict[str, bytes]:
    """The files that are damaged by chance: of each format, and of each kind of column and page."""
    odd = _written_oddly()
    many = {f"parquet, {name}": odd[name] for name in ("INT96", "decimals", "dictionaries", "a struct", "a map")}
    small = {"data_page_version": "2.0", "data_page_size": 100, "row_group_size": 7, "compression": "zstd"}
    return {**FORMATS, **many, "parquet, small pages": parquet(SAMPLE.table, **small)}


BAD_TEXT = {
    "a lone surrogate": b"\xed\xa0\x80",
    "an overlong slash": b"\xc0\xaf",
    "no start of a character": b"\xff",
    "half a character": b"\xe2\x82",
}
ODD_TEXT = {
    "NUL": b"a\0b",
    "a byte order mark": b"\xef\xbb\xbfa",
    "an escape sequence": b"\x1b[2J",
    "a template": b"{{ x }}",
}


def files() -> dict[str, bytes]:
    """Every hostile file, by a name that says what is wrong with it."""
    return {**_no_files(), **_written_oddly(), **_too_much(), **dict(_with_text()), **dict(_damaged())}


def keys() -> list[str]:
    """Odd keys, each of a file of one hour that a listing can bring."""
    hour = f"date={HOUR}"
    return [
        f"in/event_type={CUSTOM}/{hour}/date=2020-01-01-00/a",
        f"in/event_type={CUSTOM}/{hour}/date=../event_type=b/a",
        f"/in/event_type={CUSTOM}/{hour}/a",
        f"in//event_type={CUSTOM}/{hour}/../../a",
        f"in/event_type=..%2F..%2F/{hour}/a",
        f"in/event_type={'x' * 800}/{hour}/a",
        f"in/event_type={'🙂' * 128}/{hour}/a",
        f"in/event_type=a\nERROR b\x1b[2J\x07/{hour}/a\r\n",
        f"in/event_type={{{{ ti }}}}/{hour}/{{% raw %}}",
        f"in/event_type=*?[a-/{hour}/a b+c&d=e",
        f"in/event_type={CUSTOM}/{hour}/".ljust(1024, "k"),
    ]


def mutations(body: bytes, seed: int) -> bytes:
    """The file with a few bytes changed, cut out, doubled or cut off at its end."""
    rng, changed = random.Random(seed), bytearray(body)
    # Most files have a single change, for more of them mostly end in the header.
    for _ in range(rng.choice((1, 1, 1, 2, 6))):
        at = rng.randrange(len(changed)) if changed else 0
        match rng.randrange(8):
            case 0:
                del changed[at : at + rng.randint(1, 16)]
            case 1:
                changed[at:at] = changed[at : at + rng.randint(1, 64)]
            case 2:
                changed[at : at + 4] = rng.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\xfe\xff\xff\xff"))
            case 3 if rng.random() < 0.2:
                del changed[at:]
            case _:
                changed[at : at + 1] = bytes([rng.randrange(256)])
    return bytes(changed)


def parquet(table: pa.Table, **options: Any) -> bytes:
    """A table as Parquet."""
    sink = BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def table(**columns: Any) -> pa.Table:
    """Two rows with these columns besides `id` and `time`, which they may replace."""
    return pa.table({"id": ["x", "y"], "time": [1, 2], **columns})


def _no_files() -> dict[str, bytes]:
    return {
        "one byte": b"P",
        "only a magic": b"PAR1",
        "two magics": b"PAR1PAR1",
        "only Avro's magic": b"Obj\x01",
        "gzip": gzip.compress(SAMPLE.body),
        "a page of an error": b"<?xml version='1.0'?><Error><Code>SlowDown</Code></Error>",
        "a footer longer than the file": b"PAR1" + b"\xff\xff\xff\x7f" + b"PAR1",
        "no rows": parquet(SAMPLE.table.slice(0, 0)),
        "no columns": parquet(pa.table({})),
    }


def _written_oddly() -> dict[str, bytes]:
    moments = pa.array([datetime(2026, 11, 23, 8, tzinfo=UTC)] * 2, pa.timestamp("us", tz="UTC"))
    return {
        "INT96": parquet(table(time=moments), use_deprecated_int96_timestamps=True),
        "microseconds": parquet(table(time=moments)),
        "dates of no year": parquet(table(until=pa.array([2**63 - 1] * 2, pa.timestamp("us")))),
        "days of no year": parquet(table(until=pa.array([2**31 - 1, -719_529], pa.date32()))),
        "decimals": parquet(table(time=pa.array([Decimal(1), Decimal(2)]), price=pa.array([Decimal("1.10"), None]))),
        "dictionaries": parquet(table(name=pa.array(["a", "a"]).dictionary_encode())),
        "large strings": parquet(table(name=pa.array(["a", "b"], pa.large_string()))),
        "a struct": parquet(table(properties=[{"a": 1}, None])),
        "a map": parquet(table(properties=pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())))),
        "partition columns": parquet(table(event_type=[CUSTOM] * 2, date=[HOUR] * 2, version=[1, 1])),
        "partition columns of other types": parquet(
            table(event_type=[[1], [2]], date=[{"a": 1}] * 2, version=[b"\xff"] * 2)
        ),
        "extra columns": parquet(table(**{"": [1, 2], "a\nb": [1, 2], "{{ x }}": [1, 2], "🙂" * 500: [1, 2]})),
        "Spark's flavor": parquet(SAMPLE.table, flavor="spark"),
    }


def _too_much() -> dict[str, bytes]:
    deep: Any = {"a": 1}
    for _ in range(200):
        deep = {"a": deep}
    many = {f"column {number}": [number, None] for number in range(10_000)}
    nested = '{"a":' * 5_000 + "1" + "}" * 5_000
    return {
        "10,000 columns": parquet(table(**many)),
        "structs 200 deep": parquet(table(extra=[deep, None])),
        "JSON 5,000 deep": parquet(table(properties=[nested, "[" * 5_000])),
        "two columns of a name": parquet(pa.table([["a"], ["b"], [1]], names=["id", "id", "time"])),
        "two fields of a name": parquet(
            table(properties=pa.StructArray.from_arrays([pa.array([1, 2]), pa.array([3, 4])], names=["a", "a"]))
        ),
        "an Avro record within itself": _avro(
            {
                "type": "record",
                "name": "s",
                "fields": [{"name": "id", "type": "string"}, {"name": "next", "type": ["null", "s"]}],
            }
        ),
    }


def _avro(schema: dict[str, Any]) -> bytes:
    sink = BytesIO()
    fastavro.writer(sink, schema, [{"id": "x", "next": None}])
    return sink.getvalue()


def _with_text() -> Iterator[tuple[str, bytes]]:
    """Text of each kind in one row of each kind of column. The other row is good."""
    for what, value in (BAD_TEXT | ODD_TEXT).items():
        for name in ("id", "time", "event_type", "name", "properties", "version"):
            column = (
                pa.array([value, value], pa.binary()) if name == "version" else pa.array([value, b"x"], pa.binary())
            )
            yield f"{what} in {name}", parquet(table(**{name: column.cast(pa.string(), safe=False)}))
        lists = pa.array([[value], [b"x"]], pa.list_(pa.binary())).cast(pa.list_(pa.string()), safe=False)
        yield f"{what} in a list", parquet(table(media_urls=lists))
        structs = pa.StructArray.from_arrays([lists], names=["a"])
        yield f"{what} in a struct", parquet(table(properties=structs))
        maps = pa.MapArray.from_arrays([0, 1, 2], lists.flatten(), lists.flatten())
        yield f"{what} in a map", parquet(table(properties=maps))


def _damaged() -> Iterator[tuple[str, bytes]]:
    """Each format cut off at, and with other bytes at, each place where a part of it begins or ends."""
    for form, body in FORMATS.items():
        for at in sorted({place + off for place in _places(form, body) for off in (-1, 0, 1)}):
            if 0 < at < len(body):
                yield f"{form} cut off at {at}", body[:at]
                yield f"{form} with zeros at {at}", body[:at] + b"\0" * 4 + body[at + 4 :]
                yield f"{form} with ones at {at}", body[:at] + b"\xff" * 4 + body[at + 4 :]


def _places(form: str, body: bytes) -> set[int]:
    if form.startswith("avro"):
        sync = body[-16:]
        return {4, body.index(sync), body.index(sync) + 16, body.rindex(sync), len(body)}
    footer = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
    group = pq.ParquetFile(BytesIO(body)).metadata.row_group(0)
    chunks = [group.column(number) for number in range(group.num_columns)]
    starts = {each.data_page_offset for each in chunks} | {each.dictionary_page_offset or 4 for each in chunks}
    return starts | {footer, len(body) - 8, len(body) - 4, len(body)}
