"""The progress of a task, as one line of its log."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from currents_core.counted import counted
from currents_core.sending.figures import SendFigures


@dataclass
class Progress:
    """How far a task has got: ``files`` and ``size``, in bytes, are those of all its files.

    ``clock`` gives seconds and only moves forward.
    """

    files: int
    size: int
    clock: Callable[[], float] = time.monotonic
    files_done: int = 0
    rows_read: int = 0
    _bytes_done: float = 0.0
    _began: float = field(init=False)
    _moved_at: float = field(init=False)
    _moved_to: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        self._began = self._moved_at = self.clock()

    def file_done(self, size: int) -> None:
        """Notes a file of ``size`` bytes that is settled, now or by an earlier task."""
        self.files_done += 1
        self._bytes_done += size

    def stands_still(self, figures: SendFigures) -> float:
        """Seconds since a row was read, an entry was answered or a file was settled, as far as calls can tell."""
        here = (self.rows_read, figures.sent + figures.failed, self.files_done)
        if here != self._moved_to:
            self._moved_to, self._moved_at = here, self.clock()
        return self.clock() - self._moved_at

    def line(self, figures: SendFigures, pace: float, bytes_begun: float = 0.0) -> str:
        """Files, rows, rates, throttling, pace, and the time left at this rate.

        ``pace`` is a fraction of the share, and ``bytes_begun`` are those that are settled of files that are not.
        """
        seconds = max(self.clock() - self._began, 1e-3)
        part = min((self._bytes_done + bytes_begun) / self.size, 1.0) if self.size else 1.0
        tried = figures.sent + figures.failed
        throttled = figures.throttled / tried if tried else 0.0
        events, requests = (round(count / seconds) for count in (figures.sent, figures.requests))
        left = f", about {_time(seconds * (1 - part) / part)} left" if 0 < part < 1 else ""
        return (
            f"{self.files_done} of {counted(self.files, 'file')} ({part:.0%}), "
            f"{counted(self.rows_read, 'row')} read, {figures.sent:,} sent, "
            f"{counted(events, 'event')}/s in {counted(requests, 'request')}/s, "
            f"throttled {throttled:.1%}, pace {pace:.0%}, waited {figures.waited:.0f} s{left}"
        )


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
