"""How far a task has come, in one line of its log."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from currents_core.counted import counted
from currents_core.sending.figures import SendFigures


@dataclass
class Progress:
    """``size`` is the bytes of all files of the task; ``clock`` gives seconds and only moves forward."""

    files: int
    size: int
    clock: Callable[[], float] = time.monotonic
    files_done: int = 0
    rows_read: int = 0
    _bytes_done: float = 0.0
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def file_done(self, size: int) -> None:
        """Notes a file of so many bytes that is settled, or was before."""
        self.files_done += 1
        self._bytes_done += size

    def line(self, figures: SendFigures, pace: float) -> str:
        """Files, rows, rate, throttling, pace, and the time that is left if it goes on like this."""
        seconds = max(self.clock() - self._began, 1e-3)
        part = self._bytes_done / self.size if self.size else 1.0
        tried = figures.sent + figures.failed
        throttled = figures.throttled / tried if tried else 0.0
        left = f", about {_time(seconds * (1 - part) / part)} left" if 0 < part < 1 else ""
        return (
            f"{self.files_done} of {counted(self.files, 'file')} ({part:.0%}), "
            f"{counted(self.rows_read, 'row')} read, {figures.sent:,} sent, "
            f"{figures.sent / seconds:,.0f} events/s in {figures.requests / seconds:,.0f} requests/s, "
            f"throttled {throttled:.1%}, pace {pace:.0%}, waited {figures.waited:.0f} s{left}"
        )


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
