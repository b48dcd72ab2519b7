"""Looks at the processes of this machine."""

from __future__ import annotations

from contextlib import suppress

import psutil


def is_alive(pid: int) -> bool:
    """Whether a process is there and has not ended; one that nobody has reaped has."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False
