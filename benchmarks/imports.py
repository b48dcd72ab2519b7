"""What this project adds to every process of Airflow that loads plugins and parses DAG files, in time and memory.

Each figure is the median of several fresh processes, beside what `import airflow.sdk` alone takes in the same ones.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from rich import box
from rich.console import Console
from rich.table import Table

from tests.tools.airflow_env import ROOT, airflow_env

PROCESSES = 11
STEPS = ("import airflow.sdk", "plugins and DAG files on top of it")
# Imports nothing before it measures that Airflow does not import itself.
WORK = """
import json, runpy, sys, time
from pathlib import Path

def resident():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 1024

def took(step):
    began, before = time.perf_counter(), resident()
    step()
    return (time.perf_counter() - began) * 1e3, resident() - before

def parse():
    __import__("airflow.plugins_manager").plugins_manager.ensure_plugins_loaded()
    for path in sorted(Path(sys.argv[1]).glob("*.py")):
        runpy.run_path(str(path))

print(json.dumps([took(lambda: __import__("airflow.sdk")), took(parse)]))
"""


def measure(home: Path) -> list[list[float]]:
    """The milliseconds and megabytes of each step, in a process of its own."""
    command = [sys.executable, "-c", WORK, str(ROOT / "dags")]
    run = subprocess.run(command, env=airflow_env(home), capture_output=True, text=True, check=True)
    return list(json.loads(run.stdout.splitlines()[-1]))


def main() -> None:
    """Prints one table."""
    table = Table("step", "ms", "MB", box=box.SIMPLE_HEAD)
    with TemporaryDirectory() as home:
        measure(Path(home))  # compiles what is not compiled yet
        runs = [measure(Path(home)) for _ in range(PROCESSES)]
    for number, step in enumerate(STEPS):
        milliseconds, megabytes = (median(run[number][unit] for run in runs) for unit in (0, 1))
        table.add_row(step, f"{milliseconds:,.0f}", f"{megabytes:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
