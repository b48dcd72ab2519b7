"""Ways to turn the columns of a file into JSON texts, side by side: docs/adr/0001-column-wise-encoding.md weighs them.

Each begins with the same Parquet file. Those that can't leave null fields out write them as null, and are that much
ahead of the others.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from io import BytesIO

import duckdb
import orjson
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.encode import ROUNDS, ROWS, WIDE, Case, ours, sample


def with_duckdb(body: bytes) -> int:
    """DuckDB's `to_json` over each row."""
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.register("t", pq.read_table(BytesIO(body)))
        return len(connection.sql("SELECT to_json(t) AS j FROM t").to_arrow_table())


def with_polars(body: bytes) -> int:
    """polars' `struct.json_encode`."""
    frame = pl.read_parquet(BytesIO(body))
    return len(frame.select(pl.struct(pl.all()).struct.json_encode()))


def with_orjson(body: bytes) -> int:
    """A dictionary per row from Arrow, without nulls, and orjson."""
    rows = pq.read_table(BytesIO(body)).to_pylist()
    return len([orjson.dumps({name: value for name, value in row.items() if value is not None}) for row in rows])


def with_json(body: bytes) -> int:
    """A dictionary per row from pandas, and json."""
    rows = pd.read_parquet(BytesIO(body)).to_dict("records")
    return len([json.dumps(row, default=lambda value: value.tolist()) for row in rows])


def with_iterrows(body: bytes) -> int:
    """pandas row by row."""
    frame = pd.read_parquet(BytesIO(body))
    return len([json.dumps(row.to_dict(), default=lambda value: value.tolist()) for _, row in frame.iterrows()])


def main() -> None:
    """Prints one table: microseconds of processor time a row, and against ours."""
    body = sample(WIDE).body
    ways: dict[str, Callable[[bytes], int]] = {
        "Arrow kernels (ours)": lambda body: ours(Case("wide", WIDE, body)),
        "DuckDB to_json": with_duckdb,
        "polars struct.json_encode": with_polars,
        "to_pylist and orjson": with_orjson,
        "to_dict and json": with_json,
        "iterrows and json": with_iterrows,
    }
    costs = {name: [_cost(way, body) for _ in range(ROUNDS)] for name, way in ways.items()}
    first = statistics.median(costs["Arrow kernels (ours)"])
    table = Table("way", "µs of processor\ntime a row", "against ours", box=box.SIMPLE_HEAD)
    for name, measured in costs.items():
        median = statistics.median(measured)
        table.add_row(name, f"{median:.1f}", f"{median / first:.1f}")
    Console().print(table)


def _cost(way: Callable[[bytes], int], body: bytes) -> float:
    start = time.process_time()
    assert way(body) == ROWS
    return (time.process_time() - start) / ROWS * 1e6


if __name__ == "__main__":
    main()
