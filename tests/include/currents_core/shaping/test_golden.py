"""Whole files of every documented event type, and of every odd writer, against the obvious reference."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import duckdb
import fastparquet
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from currents_core.catalog import RENAMED, catalog
from currents_core.reading.read import read
from currents_core.shaping.encode import encode
from currents_core.shaping.json_text import concat
from currents_core.shaping.normalise import by_event_type, normalise
from tests.include.currents_core.shaping.reference import envelope
from tests.tools.sample import SampleFile, make_files, on_disk

HOUR = "2026-11-23-08"
PURCHASE = "users.behaviors.Purchase"
STORED = [name for name, event_type in catalog().items() if event_type.stored]
[SAMPLE] = make_files([HOUR], [PURCHASE], rows=200)


def encoded(body: bytes, event_type: str) -> list[dict[str, Any]]:
    """The envelopes that a file becomes."""
    texts: list[str] = []
    with on_disk(body) as path:
        frames = [frame for frame, _ in read(path, "f").batches]
    for frame in frames:
        for name, rows in by_event_type(frame, event_type):
            assert name == event_type
            normalised = normalise(rows, name, {"event_type": event_type, "date": HOUR, "version": "1"})
            assert normalised.rejections == []
            texts += map(json.loads, concat(*encode(normalised.events, Counter())).to_pylist())
    return [json.loads(text) for text in texts]


def expected(table: pa.Table, event_type: str) -> list[dict[str, Any]]:
    """What the reference makes of the same rows, with 32-bit floats as their shortest decimals."""
    names = [RENAMED.get(event_type, {}).get(name, name) for name in table.column_names]
    floats = {name for name in table.column_names if pa.types.is_float32(table.schema.field(name).type)}
    rows = table.rename_columns(names).to_pylist()
    return [envelope(event_type, {n: _short(v) if n in floats else v for n, v in row.items()}) for row in rows]


def _short(value: float | None) -> float | None:
    return None if value is None else float(str(pa.array([value], pa.float32()).to_numpy()[0]))


@pytest.mark.parametrize("event_type", STORED)
@pytest.mark.parametrize("form", ["parquet", "avro"])
def test_every_event_type_is_what_the_reference_says(event_type: str, form: str) -> None:
    [sample] = make_files([HOUR], [event_type], rows=25)
    body = sample.body if form == "parquet" else sample.avro()
    assert encoded(body, event_type) == expected(sample.table, event_type)


def with_pandas(sample: SampleFile, path: Path) -> None:
    """Nullable ints turn into floats, and the frame brings an index."""
    sample.table.to_pandas().sample(frac=1, random_state=0).sort_index().to_parquet(path, index=True)


def with_fastparquet(sample: SampleFile, path: Path) -> None:
    fastparquet.write(str(path), sample.table.to_pandas(), compression="GZIP")


def with_polars(sample: SampleFile, path: Path) -> None:
    pl.from_arrow(sample.table).write_parquet(path)  # type: ignore[union-attr]


def with_duckdb(sample: SampleFile, path: Path) -> None:
    """DuckDB adds the columns of key=value folders, as Hive does."""
    folders = f"'{HOUR}' AS date, '{PURCHASE}' AS event_type, 1 AS version"
    with duckdb.connect() as connection:
        connection.register("sample", sample.table)
        connection.sql(f"COPY (SELECT *, {folders} FROM sample) TO '{path}' (FORMAT parquet)")


def with_spark_like_types(sample: SampleFile, path: Path) -> None:
    """INT96 times, decimals for prices, dictionaries for text."""
    table = sample.table
    times = table["time"].cast(pa.int64()).cast(pa.timestamp("s")).cast(pa.timestamp("ns"))
    table = table.set_column(table.column_names.index("time"), "time", times)
    prices = [None if price is None else Decimal(str(_short(price))) for price in table["price"].to_pylist()]
    table = table.set_column(table.column_names.index("price"), "price", pa.array(prices, pa.decimal128(20, 4)))
    pq.write_table(table, path, use_deprecated_int96_timestamps=True)


def with_large_strings(sample: SampleFile, path: Path) -> None:
    fields = [(name, pa.large_string() if pa.types.is_string(kind) else kind) for name, kind in _types(sample.table)]
    pq.write_table(sample.table.cast(pa.schema(fields)), path, compression="zstd", data_page_version="2.0")


def with_bytes(sample: SampleFile, path: Path) -> None:
    """Text without the note that it is text, as old writers leave it."""
    fields = [
        (name, pa.binary() if pa.types.is_string(kind) and name not in ("id", "properties") else kind)
        for name, kind in _types(sample.table)
    ]
    pq.write_table(sample.table.cast(pa.schema(fields)), path)


def _types(table: pa.Table) -> list[tuple[str, pa.DataType]]:
    return [(field.name, field.type) for field in table.schema]


@pytest.mark.parametrize(
    "write",
    [with_pandas, with_fastparquet, with_polars, with_duckdb, with_spark_like_types, with_large_strings, with_bytes],
)
def test_files_of_every_writer_become_the_same_events(
    write: Callable[[SampleFile, Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "file.parquet"
    write(SAMPLE, path)
    assert encoded(path.read_bytes(), PURCHASE) == expected(SAMPLE.table, PURCHASE)


@pytest.mark.parametrize("form", ["struct", "map"])
def test_own_properties_given_as_columns_become_the_object(form: str) -> None:
    kind = pa.struct({"a": pa.int64(), "b": pa.string()}) if form == "struct" else pa.map_(pa.string(), pa.string())
    values = [{"a": 1, "b": None}, {"a": None, "b": "é"}] if form == "struct" else [[("a", "1")], []]
    table = pa.table({"id": ["x", "y", "z"], "time": [1, 2, 3], "properties": pa.array([*values, None], kind)})
    body = BytesIO()
    pq.write_table(table, body)
    found = [each["properties"] for each in encoded(body.getvalue(), PURCHASE)]
    objects = [{"a": 1}, {"b": "é"}] if form == "struct" else [{"a": "1"}, {}]
    assert found == [{"purchase_properties": each} for each in objects] + [{}]


def test_an_int_that_pandas_made_a_float_prints_as_an_int() -> None:
    body = BytesIO()
    pd.DataFrame({"id": ["a", "b"], "time": [1, 2], "count": [3, None]}).to_parquet(body)
    [first, _] = encoded(body.getvalue(), "users.messages.email.Open")
    assert first["properties"] == {"count": 3}
    assert type(first["properties"]["count"]) is int
