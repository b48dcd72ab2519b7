"""Peak memory of a delivery of each file that wants much: the whole process, against the limit of 1 GB."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from currents_core.errors import CurrentsError
from currents_core.file_key import SourceFile
from tests.tools.airflow_env import PYTHONPATH, ROOT
from tests.tools.hostile_sizes import CUSTOM, Case, cases
from tests.tools.house import HOUR, FileObjects, ForgetfulTarget, House

LIMIT = 1_000


def make(name: str, path: Path) -> None:
    """Makes a file, in a process of its own, which may take more."""
    path.write_bytes(cases()[name].make())


def work(path: Path) -> None:
    """Delivers a file and prints the most megabytes that the process held, the seconds that it took, and the fate."""
    house = House(ForgetfulTarget())
    house.source = FileObjects("braze", path.parent)
    key = f"in/event_type={CUSTOM}/date={HOUR}/{path.name}"
    file = SourceFile("braze", key, house.source.etag(key), path.stat().st_size)
    began = time.process_time()
    try:
        totals = house.deliver(file)
        fate = "sent" if totals.sent == totals.read else "parked" if totals.dead_lettered else "?"
    except CurrentsError as error:
        fate = "failed" if file.id in house.ledger.failed(HOUR) else f"open: {error}"
    seconds = time.process_time() - began
    print(_peak(), f"{seconds:.1f}", fate, sep="\n")


def _peak() -> int:
    """The most memory that this process held, in megabytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def _in_a_process(*arguments: str) -> list[str]:
    command = [sys.executable, "-m", "benchmarks.hostile", *arguments]
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return (
        run.stdout.split("\n") if run.returncode == 0 else ["", "", f"ended with {run.returncode}: {run.stderr[-300:]}"]
    )


def main(*names: str) -> None:
    """Prints one table, and fails if a file took too much or had another fate than it must have."""
    table = Table("file", "size, KB", "peak, MB", "CPU, s", "fate", box=box.SIMPLE_HEAD)
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for name, case in cases().items():
            if names and name not in names:
                continue
            path = Path(folder) / "file"
            _in_a_process("make", name, str(path))
            peak, seconds, fate, *_ = _in_a_process("work", str(path))
            table.add_row(name, f"{path.stat().st_size / 1e3:,.0f}", peak, seconds, fate)
            if not _is_right(case, peak, fate):
                wrong.append(name)
    Console().print(table)
    if wrong:
        sys.exit(f"over {LIMIT} MB, or another fate: {', '.join(wrong)}")


def _is_right(case: Case, peak: str, fate: str) -> bool:
    return fate == case.fate and int(peak or LIMIT) < LIMIT


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", name, path]:
            make(name, Path(path))
        case ["work", path]:
            work(Path(path))
        case names:
            main(*names)
