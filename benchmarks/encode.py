"""Rows per second from a file to encoded envelopes, against pandas `to_dict("records")` and `json.dumps`.

Both sides read the same file in the same process, in turn; what counts is the ratio of each pair.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import fastavro
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich import box
from rich.console import Console
from rich.table import Table

from currents_core.reading.read import read
from currents_core.shaping.encode import encode
from currents_core.shaping.json_text import concat
from currents_core.shaping.normalise import by_event_type, normalise
from tests.tools.sample import SampleFile, make_files, on_disk

ROWS = 100_000
ROUNDS = 5
HOUR = "2026-11-23-08"
NARROW, WIDE, OWN = "users.behaviors.Uninstall", "users.messages.email.Click", "users.behaviors.CustomEvent"
USER = ("user_id", "external_user_id", "device_id", "timezone")


@dataclass(frozen=True)
class Case:
    """A file to encode, and what it shows."""

    name: str
    event_type: str
    body: bytes


def cases() -> list[Case]:
    """Files of a few and of many columns, of customers' JSON, of nothing that repeats, and Avro."""
    narrow, wide, own = (sample(event_type) for event_type in (NARROW, WIDE, OWN))
    return [
        Case("narrow, 7 columns", NARROW, narrow.body),
        Case("wide, 34 columns", WIDE, wide.body),
        Case("the same, no repeats", WIDE, distinct(wide.table)),
        Case("property-heavy", OWN, own.body),
        Case("the same, no repeats", OWN, distinct(own.table)),
        Case("Avro, wide", WIDE, wide.avro()),
        Case("Avro, property-heavy", OWN, own.avro()),
    ]


def sample(event_type: str) -> SampleFile:
    """A file of ROWS rows."""
    return next(make_files([HOUR], [event_type], rows=ROWS))


def distinct(table: pa.Table) -> bytes:
    """The table as Parquet, each text made different from all others of its column."""
    rows = pa.array(range(len(table))).cast(pa.string())
    for number, field in enumerate(table.schema):
        if field.name == "properties":
            own = [f'{{"row":{row},"own":{text}}}' for row, text in enumerate(table["properties"].to_pylist())]
            table = table.set_column(number, field, pa.array(own))
        elif field.type == pa.string():
            texts = table[field.name].combine_chunks()
            table = table.set_column(number, field, pc.binary_join_element_wise(texts, rows, " "))
    body = BytesIO()
    pq.write_table(table, body)
    return body.getvalue()


def ours(case: Case) -> int:
    """The exporter's way, batch by batch; returns the number of envelopes."""
    count, notes = 0, Counter[str]()
    with on_disk(case.body) as path:
        for frame, _ in read(path, case.name).batches:
            for event_type, rows in by_event_type(frame, case.event_type):
                assert isinstance(event_type, str)
                count += len(concat(*encode(normalise(rows, event_type, {}).events, notes)))
    return count


def baseline(case: Case) -> int:
    """The usual way: a dictionary per row, and `json.dumps` for each."""
    body = BytesIO(case.body)
    frame = pd.DataFrame(fastavro.reader(body)) if case.name.startswith("Avro") else pd.read_parquet(body)
    return sum(1 for row in frame.to_dict("records") if json.dumps(envelope(row, case.event_type)))


def envelope(row: Mapping[Any, Any], event_type: str) -> dict[str, object]:
    """What the usual way makes of a row."""
    filled = {name: value for name, value in row.items() if not _is_null(value)}
    user = {name: filled.pop(name) for name in USER if name in filled}
    top = {"event_type": event_type, "id": filled.pop("id"), "time": filled.pop("time"), "user": user}
    if "properties" in filled:
        filled["custom_properties"] = json.loads(str(filled.pop("properties")))
    return {**top, "properties": {name: _plain(value) for name, value in filled.items()}}


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _plain(value: object) -> object:
    return value.tolist() if hasattr(value, "tolist") else value


def _rate(run: Callable[[Case], int], case: Case) -> float:
    start = time.perf_counter()
    assert run(case) == ROWS
    return ROWS / (time.perf_counter() - start)


def main() -> None:
    """Prints one table."""
    table = Table("file", "ours,\nrows/s", "baseline,\nrows/s", "ratio,\nmedian", "least to most", box=box.SIMPLE_HEAD)
    for case in cases():
        ours(case)
        pairs = [(_rate(ours, case), _rate(baseline, case)) for _ in range(ROUNDS)]
        ratios = [mine / theirs for mine, theirs in pairs]
        table.add_row(
            case.name,
            f"{statistics.median(mine for mine, _ in pairs):,.0f}",
            f"{statistics.median(theirs for _, theirs in pairs):,.0f}",
            f"{statistics.median(ratios):.1f}",
            f"{min(ratios):.1f} to {max(ratios):.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
