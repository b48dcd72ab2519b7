"""Looks at the processes of this machine, and ends them."""

from __future__ import annotations

import time
from contextlib import suppress

import psutil


def is_alive(pid: int) -> bool:
    """Whether a process is there and has not ended; one that nobody has reaped has."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def family_of(pid: int) -> list[psutil.Process]:
    """A process and all below it, as they are now."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended, even if their number is used again."""
    return [each for each in processes if each.is_running() and is_alive(each.pid)]


def kill(processes: list[psutil.Process], seconds: float = 10.0) -> None:
    """Kills them, and returns when all have ended, or after ``seconds``."""
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    # `psutil.wait_procs` would wait for what has ended and nobody reaps.
    deadline = time.monotonic() + seconds
    while living(processes) and time.monotonic() < deadline:
        time.sleep(0.05)
