"""The clock of what the front models: the machine's, which a test may move forward."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """Tells the time; ``source`` tells seconds since 1970."""

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._ahead = 0.0

    def seconds(self) -> float:
        """Seconds since 1970, with those moved forward."""
        return self._source() + self._ahead

    def now(self) -> datetime:
        """The time, to the millisecond, which is as fine as AWS tells it."""
        return datetime.fromtimestamp(int(self.seconds() * 1000) / 1000, UTC)

    def forward(self, seconds: float) -> None:
        """Moves on. Raises ValueError where that would be back."""
        if not seconds >= 0:
            raise ValueError(f"seconds must be a number from 0 on, not {seconds}")
        self._ahead += seconds

    def reset(self) -> None:
        """Tells the machine's time again."""
        self._ahead = 0.0
