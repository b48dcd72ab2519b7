"""Runs every benchmark, and writes what they print to RESULTS.md, with the machine and the versions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable

from benchmarks.sections import RESULTS, kept, machine, section

BENCHMARKS = ("encode", "memory", "hostile", "encoders", "imports", "state", "page", "send", "export")
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
        parts.append(section(f"python -m benchmarks.{name}", printed))
    others = kept(RESULTS.read_text("utf-8"), (f"python -m benchmarks.{name}" for name in BENCHMARKS))
    RESULTS.write_text("\n".join([*parts, *([others] if others else ())]), "utf-8")


def _missing(programs: Iterable[str]) -> list[str]:
    # Debian keeps nginx where only root looks.
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    return [name for name in programs if not shutil.which(name, path=path)]


def _head() -> str:
    return (
        "# Results\n"
        "Written by `make bench` and `make scale`: figures beside their baselines, of the same run. "
        "Absolute figures are those of the machine.\n\n"
        f"{machine()}\n"
    )


if __name__ == "__main__":
    main()
