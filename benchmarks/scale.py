"""How cost grows with workers, files, rows and hours, and what a billion events a day would need: `make scale`.

Runs every part, one after the other, prints each table as it is there, and writes them all to RESULTS.md. A part that
fails or takes too long is told of in its place, and the others go on.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks import scale_tables as tables
from benchmarks.billion import Load
from benchmarks.scale_airflow import Costs
from benchmarks.scale_airflow import measure as measure_airflow
from benchmarks.scale_hours import Month, empty_hour, files_in_an_hour, large_files, month
from benchmarks.scale_run import Figures
from benchmarks.scale_workers import Team, measure, samples
from benchmarks.sections import RESULTS, machine, replaced, section

COMMAND = "python -m benchmarks.scale"
# What a part may fail with.
FAULTS = (AssertionError, RuntimeError, OSError, SystemExit, subprocess.SubprocessError, httpx.HTTPError)


@dataclass(frozen=True)
class Sizes:
    """How much is measured. ``timeout`` is the most seconds that one process may take.

    ``latency``: seconds after which S3 answers, in the row that tells what waiting for it costs. ``airflow``: hours on
    the cluster; none starts no cluster.
    """

    workers: tuple[int, ...] = (1, 2, 4)
    sent_files: int = 24
    file_rows: int = 50_000
    rounds: int = 3
    files: tuple[int, ...] = (10, 1_000, 100_000)
    late_files: int = 1_000
    latency: float = 0.03
    rows: tuple[int, ...] = (100_000, 1_000_000)
    hours: int = 720
    types: int = 3
    window_types: int = 94
    airflow: int = 24
    timeout: float = 3_600


FULL = Sizes()
TINY = Sizes(
    workers=(1, 2),
    sent_files=2,
    file_rows=1_000,
    rounds=1,
    files=(1, 10),
    late_files=10,
    rows=(1_000, 2_000),
    hours=2,
    types=1,
    window_types=1,
    airflow=0,
    timeout=300,
)


@dataclass
class Found:
    """What the parts have measured so far."""

    teams: dict[int, list[Team]] = field(default_factory=dict)
    custom: list[Team] = field(default_factory=list)
    files: dict[int, Figures] = field(default_factory=dict)
    late: Figures | None = None
    rows: list[tuple[int, float, Figures]] = field(default_factory=list)
    month: Month | None = None
    empty: Figures | None = None
    airflow: Costs | None = None


class Parts:
    """The parts in their order. Each measures something and returns its table."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.found = Found()

    def all(self) -> dict[str, Callable[[], Table]]:
        """The parts, by what they are about."""
        parts = {
            "workers": self.workers,
            "files in an hour": self.files,
            "a large file": self.rows,
            "a month": self.month,
            "an hour without files": self.empty,
        }
        # What Airflow adds is a part of what a billion events need.
        return {**parts, "Airflow": self.airflow, "a billion events": self.billion} if self.sizes.airflow else parts

    def workers(self) -> Table:
        """Several deliveries at a time."""
        sizes, found = self.sizes, self.found
        with samples(sizes.file_rows) as folder:
            for _ in range(sizes.rounds):
                for count in sizes.workers:
                    _tell(f"{count} at a time")
                    team = measure(folder, count, files=sizes.sent_files, timeout=sizes.timeout)
                    found.teams.setdefault(count, []).append(team)
                _tell("1 to a custom bus")
                custom = measure(folder, 1, files=sizes.sent_files, kind="custom_bus", timeout=sizes.timeout)
                found.custom.append(custom)
        return tables.of_workers(found.teams, found.custom, os.cpu_count() or 1)

    def files(self) -> Table:
        """Hours of many files."""
        sizes, found = self.sizes, self.found
        for count, figures in files_in_an_hour(sizes.files, sizes.timeout):
            _tell(f"{count:,} files took {figures.total.seconds:.0f} s")
            found.files[count] = figures
        [(_, found.late)] = files_in_an_hour([sizes.late_files], sizes.timeout, sizes.latency)
        return tables.of_files(found.files, (sizes.late_files, found.late), sizes.latency)

    def rows(self) -> Table:
        """Files of many rows."""
        self.found.rows = list(large_files(self.sizes.rows, self.sizes.timeout))
        return tables.of_rows(self.found.rows)

    def month(self) -> Table:
        """Many hours."""
        self.found.month = month(self.sizes.hours, self.sizes.types, self.sizes.timeout)
        return tables.of_month(self.found.month)

    def empty(self) -> Table:
        """An hour in which nothing is."""
        self.found.empty = empty_hour(self.sizes.window_types, self.sizes.timeout)
        return tables.of_empty_hour(self.found.empty, self.sizes.window_types)

    def airflow(self) -> Table:
        """What Airflow adds."""
        self.found.airflow = measure_airflow(self.sizes.airflow, self.sizes.timeout)
        return tables.of_airflow(self.found.airflow, self.sizes.hours)

    def billion(self) -> Table:
        """What was measured, times a billion."""
        found = self.found
        assert found.airflow, "it needs what Airflow costs"
        assert found.files, "it needs what a file costs"
        assert found.teams, "it needs what an event costs"
        assert found.rows, "it needs what an event read from S3 costs"
        figures = tables.measured(found.teams, found.custom, found.files, found.rows, found.airflow)
        return tables.of_billion(Load(), figures)


def run(sizes: Sizes) -> Iterator[tuple[str, bool]]:
    """What to print of each part, and whether it was measured."""
    for name, part in Parts(sizes).all().items():
        _tell(f"{name} ...")
        began = time.monotonic()
        try:
            yield printed(part()), True
        except FAULTS as error:
            yield f"{name}: NOT MEASURED: {type(error).__name__}: {_first_line(error)}\n", False
        _tell(f"{name} took {time.monotonic() - began:.0f} s")


def printed(table: Table) -> str:
    """A table as text."""
    text = StringIO()
    Console(file=text, width=120).print(table)
    return text.getvalue()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "")[:300]


def _tell(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def main(sizes: Sizes, *, writes: bool) -> None:
    """Prints every table, and writes them. Exits with 1 where a part was not measured."""
    texts, missing = [machine()], 0
    for text, is_measured in run(sizes):
        print(text, flush=True)
        texts.append(text)
        missing += not is_measured
    if writes:
        old = RESULTS.read_text("utf-8")
        RESULTS.write_text(replaced(old, COMMAND, section(COMMAND, "\n".join(texts))), "utf-8")
    if missing:
        sys.exit(f"{missing} of the parts were not measured")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measures how cost grows")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, without Airflow, to see that it runs")
    given = parser.parse_args()
    for sign in (signal.SIGTERM, signal.SIGHUP):
        # So that what was started ends, too.
        signal.signal(sign, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        main(TINY if given.tiny else FULL, writes=not given.tiny)
