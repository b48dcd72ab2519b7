"""RESULTS.md as sections, each of which one command rewrites and all others leave alone."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"
PACKAGES = ("apache-airflow", "awscrt", "boto3", "datafusion", "orjson", "pandas", "pyarrow")


def section(command: str, printed: str) -> str:
    """The section of a command: its name and what it printed, without empty lines."""
    table = "\n".join(line.rstrip() for line in printed.splitlines() if line.strip())
    return f"## `{command}`\n```\n{table}\n```\n"


def replaced(text: str, command: str, new: str) -> str:
    """The text with the section of a command replaced, or with a new one at its end."""
    parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    title = f"## `{command}`\n"
    known = any(part.startswith(title) for part in parts)
    # An empty line is between two sections, and none at the end.
    kept = [new if part.startswith(title) else part for part in (*parts, *(() if known else (new,)))]
    return "\n".join(part.rstrip("\n") + "\n" for part in kept)


def kept(text: str, commands: Iterable[str]) -> str:
    """The sections of other commands than these."""
    titles = tuple(f"## `{command}`\n" for command in commands)
    parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts if not part.startswith(titles))


def machine() -> str:
    """The date, the machine and the versions that figures belong to."""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {gigabytes:.0f} GiB, Python "
        f"{platform.python_version()}, {versions}."
    )
