"""Runs every benchmark, and writes what they print to RESULTS.md, with the machine and the versions."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

BENCHMARKS = ("encode", "memory", "encoders", "send", "export")
PACKAGES = ("apache-airflow", "awscrt", "boto3", "datafusion", "orjson", "pandas", "pyarrow")
RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> None:
    """Prints each table as it is there, and writes all of them at the end."""
    parts = [_head()]
    for name in BENCHMARKS:
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        environment = {**os.environ, "COLUMNS": "120"}
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
        print(printed, flush=True)
        table = "\n".join(line.rstrip() for line in printed.splitlines() if line.strip())
        parts.append(f"## `python -m benchmarks.{name}`\n```\n{table}\n```\n")
    RESULTS.write_text("\n".join(parts))


def _head() -> str:
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        "# Results\n"
        "Written by `make bench`: every figure beside its baseline, of the same run. Absolute figures are those of the "
        "machine.\n\n"
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {gigabytes:.0f} GiB, Python "
        f"{platform.python_version()}, {versions}.\n"
    )


if __name__ == "__main__":
    main()
