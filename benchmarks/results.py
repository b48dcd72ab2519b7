"""Runs every benchmark, and writes what they print to RESULTS.md, with the machine and the versions."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

BENCHMARKS = ("encode", "memory", "hostile", "encoders", "imports", "state", "send", "export")
PACKAGES = ("apache-airflow", "awscrt", "boto3", "datafusion", "orjson", "pandas", "pyarrow")
RESULTS = Path(__file__).parent / "RESULTS.md"
# Programs that the sinks run, and the Debian package of each.
PROGRAMS = {"nginx": "nginx-light", "openssl": "openssl"}


def main() -> None:
    """Prints each table as it is there, and writes all of them at the end."""
    if missing := _missing(PROGRAMS):
        packages = " ".join(PROGRAMS[name] for name in missing)
        sys.exit(f"make bench needs {' and '.join(missing)}; on Debian: apt-get install {packages}")
    print(f"Running {len(BENCHMARKS)} benchmarks, which takes about a quarter of an hour", flush=True)
    parts = [_head()]
    for name in BENCHMARKS:
        print(f"benchmarks.{name} ...", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        environment = {**os.environ, "COLUMNS": "120"}
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
        print(printed, flush=True)
        table = "\n".join(line.rstrip() for line in printed.splitlines() if line.strip())
        parts.append(f"## `python -m benchmarks.{name}`\n```\n{table}\n```\n")
    RESULTS.write_text("\n".join(parts))


def _missing(programs: Iterable[str]) -> list[str]:
    # Debian keeps nginx where only root looks.
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    return [name for name in programs if not shutil.which(name, path=path)]


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
