"""Peak memory of a delivery of each file that wants much: the whole process, against the limit of 1 GB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.used import peak
from currents_core.errors import CurrentsError
from currents_core.file_key import SourceFile
from tests.tools.airflow_env import PYTHONPATH, ROOT
from tests.tools.hostile import CUSTOM
from tests.tools.hostile_sizes import CASES
from tests.tools.house import HOUR, FileObjects, ForgetfulTarget, House

LIMIT = 1_000


class Measured(NamedTuple):
    """What a delivery took: the most memory of its process in MB, and seconds of CPU; and the fate of the rows."""

    peak: int
    seconds: float
    fate: str


def make(name: str, path: Path) -> None:
    """Makes a file, in a process of its own, which may take more."""
    path.write_bytes(CASES[name].make())


def work(path: Path) -> None:
    """Delivers a file, and prints what that took."""
    house = House(ForgetfulTarget())
    house.source = FileObjects("braze", path.parent)
    key = f"in/event_type={CUSTOM}/date={HOUR}/{path.name}"
    file = SourceFile("braze", key, house.source.etag(key), path.stat().st_size)
    began = time.process_time()
    try:
        totals = house.deliver(file)
        fate = "sent" if totals.sent == totals.read else "parked" if totals.dead_lettered else "?"
    except CurrentsError as error:
        state = house.states().get(file.id)
        fate = "failed" if state and state.fate == "failed" else f"open: {error}"
    print(json.dumps([peak() // 1024, time.process_time() - began, fate]))


def measure(name: str, path: Path) -> Measured:
    """Makes a file at ``path`` and delivers it, each in a process of its own; one that ended early has no peak."""
    _in_a_process("make", name, str(path)).check_returncode()
    run = _in_a_process("work", str(path))
    if run.returncode:
        return Measured(0, 0.0, f"ended with {run.returncode}: {run.stderr[-300:]}")
    return Measured(*json.loads(run.stdout.splitlines()[-1]))


def _in_a_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.hostile", *arguments]
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def main(*names: str) -> None:
    """Prints one table, and fails if a file took too much or had another fate than it must have."""
    table = Table("file", "size, KB", "peak, MB", "CPU, s", "fate", box=box.SIMPLE_HEAD)
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names or CASES:
            path = Path(folder) / "file"
            found = measure(name, path)
            size = f"{path.stat().st_size / 1e3:,.0f}"
            table.add_row(name, size, f"{found.peak}", f"{found.seconds:.1f}", found.fate)
            if found.fate != CASES[name].fate or found.peak >= LIMIT:
                wrong.append(name)
    Console().print(table)
    if wrong:
        sys.exit(f"over {LIMIT} MB, or another fate: {', '.join(wrong)}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", name, path]:
            make(name, Path(path))
        case ["work", path]:
            work(Path(path))
        case names:
            main(*names)
