"""Rows per second from a Parquet file to encoded envelopes, against pandas `to_dict("records")` and `json.dumps`.

Both sides read the same file in the same process, in turn; what counts is the ratio of each pair.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections import Counter
from collections.abc import Callable
from io import BytesIO

import pandas as pd
import pyarrow.parquet as pq
from rich import box
from rich.console import Console
from rich.table import Table

from include.currents.encode import encode
from include.currents.file_key import SourceFile
from include.currents.normalise import by_event_type, normalise
from include.currents.read import read
from tests.tools.sample import make_files

ROWS = 100_000
ROUNDS = 5
HOUR = "2026-11-23-08"
KINDS = {
    "narrow": "users.behaviors.Uninstall",
    "wide": "users.messages.email.Click",
    "property-heavy": "users.behaviors.CustomEvent",
}
USER = ("user_id", "external_user_id", "device_id", "timezone")


def ours(body: bytes, file: SourceFile) -> int:
    """The exporter's way, batch by batch; returns the number of envelopes."""
    count, notes = 0, Counter[str]()
    for frame in read(BytesIO(body), file.uri).batches:
        for event_type, rows in by_event_type(frame, file.event_type):
            assert event_type
            count += len(encode(normalise(rows, event_type, file.folders).events, notes))
    return count


def baseline(body: bytes, file: SourceFile) -> int:
    """The usual way: a dictionary per row, and `json.dumps` for each."""
    frame = pd.read_parquet(BytesIO(body))
    return sum(1 for row in frame.to_dict("records") if json.dumps(_envelope(row, file.event_type)))


def _envelope(row: dict[str, object], event_type: str | None) -> dict[str, object]:
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


def _rate(run: Callable[[bytes, SourceFile], int], body: bytes, file: SourceFile) -> float:
    start = time.perf_counter()
    assert run(body, file) == ROWS
    return ROWS / (time.perf_counter() - start)


def main() -> None:
    """Prints one table."""
    table = Table("file", "ours, rows/s", "baseline, rows/s", "ratio, median", "least to most", box=box.SIMPLE_HEAD)
    for kind, event_type in KINDS.items():
        [sample] = make_files([HOUR], [event_type], rows=ROWS)
        body = BytesIO()
        pq.write_table(sample.table, body)
        file = SourceFile("bench", sample.key, "etag", len(body.getvalue()))
        ours(body.getvalue(), file)
        pairs = [(_rate(ours, body.getvalue(), file), _rate(baseline, body.getvalue(), file)) for _ in range(ROUNDS)]
        ratios = [mine / theirs for mine, theirs in pairs]
        table.add_row(
            f"{kind} ({sample.table.num_columns} columns)",
            f"{statistics.median(mine for mine, _ in pairs):,.0f}",
            f"{statistics.median(theirs for _, theirs in pairs):,.0f}",
            f"{statistics.median(ratios):.1f}",
            f"{min(ratios):.1f} to {max(ratios):.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
