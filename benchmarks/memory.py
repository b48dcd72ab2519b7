"""Peak memory of reading, normalising and encoding, for files of 100,000 and of 1,000,000 rows.

Each file is worked through in a process of its own, whose growth over its start is what counts.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.used import peak
from currents_core.reading.read import read
from currents_core.shaping.encode import encode
from currents_core.shaping.json_text import concat
from currents_core.shaping.normalise import by_event_type, normalise
from tests.tools.sample import make_files

EVENT_TYPE = "users.behaviors.Purchase"
SIZES = (100_000, 1_000_000)


def work(path: Path) -> None:
    """Encodes a file and prints by how many megabytes the process grew."""
    # Forgets the peak so far, which is that of importing.
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    notes = Counter[str]()
    for frame, _ in read(path, path.name).batches:
        for event_type, rows in by_event_type(frame, EVENT_TYPE):
            assert isinstance(event_type, str)
            concat(*encode(normalise(rows, event_type, {}).events, notes))
    print((peak() - before) / 1024)


def measure(path: Path) -> float:
    """The growth in megabytes, in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", str(path)], capture_output=True, text=True, check=True
    )
    return float(run.stdout)


def main() -> None:
    """Prints one table."""
    table = Table("rows", "file, MB", "growth, MB", "against the first", box=box.SIMPLE_HEAD)
    first = None
    with TemporaryDirectory() as folder:
        for rows in SIZES:
            path = Path(folder) / f"{rows}.parquet"
            with pq.ParquetWriter(
                path, next(make_files(["2026-11-23-08"], [EVENT_TYPE], rows=1)).table.schema
            ) as writer:
                for number in range(rows // SIZES[0]):
                    [sample] = make_files(["2026-11-23-08"], [EVENT_TYPE], rows=SIZES[0], first=number)
                    writer.write_table(sample.table)
            growth = measure(path)
            first = first or growth
            size = path.stat().st_size / 1e6
            table.add_row(f"{rows:,}", f"{size:.1f}", f"{growth:.0f}", f"{growth / first:.2f}")
    Console().print(table)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        work(Path(sys.argv[1]))
    else:
        main()
