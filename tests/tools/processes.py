"""Looks at the processes of this machine, as anybody can on Linux and macOS."""

from __future__ import annotations

import subprocess


def is_alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    state = _told(pid, "stat")
    return bool(state) and not state.startswith("Z")


def parent_of(pid: int) -> int:
    """The process below which another runs."""
    return int(_told(pid, "ppid"))


def _told(pid: int, what: str) -> str:
    return subprocess.run(
        ["ps", "-o", f"{what}=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
