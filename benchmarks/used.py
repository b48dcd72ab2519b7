"""What the process that asks has used so far: memory at its peak, and CPU."""

from __future__ import annotations

import resource
from pathlib import Path


def peak() -> int:
    """The most memory that this process held, in kilobytes.

    Source: https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def cpu_seconds() -> float:
    """Seconds of CPU of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
