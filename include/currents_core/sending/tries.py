"""Tries: how often entries were tried, which of them to try again, and when."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

from currents_core.entry import Span


class Try(NamedTuple):
    """How often an entry was tried, and when first, in seconds since the epoch."""

    attempts: int
    first: float


class Tries:
    """The tries of the entries that were not accepted at once; it knows nothing of all others.

    An entry is given as a span of one. ``clock`` gives seconds and only moves forward; ``time_of_day`` gives seconds
    since the epoch.
    """

    def __init__(self, clock: Callable[[], float], time_of_day: Callable[[], float]) -> None:
        self._clock = clock
        self.time_of_day = time_of_day
        self._tries: dict[tuple[str, int], Try] = {}
        self._due: list[tuple[float, int, Span]] = []
        # Orders what is due at the same moment, because spans can't be compared.
        self._numbers = count()

    def count(self, span: Span) -> Try:
        """Counts a try after which an entry was not accepted, and returns its tries so far."""
        before = self._tries.get(_place(span)) or Try(0, self.time_of_day())
        tried = self._tries[_place(span)] = Try(before.attempts + 1, before.first)
        return tried

    def knows(self, span: Span) -> bool:
        """Whether an entry was tried before."""
        return _place(span) in self._tries

    def again(self, span: Span, seconds: float) -> None:
        """Schedules an entry to be tried again after ``seconds``."""
        # A few entries that wait must not keep each a whole batch in memory.
        heapq.heappush(self._due, (self._clock() + seconds, next(self._numbers), span.apart()))

    def take_due(self) -> Iterator[Span]:
        """Removes and yields the entries that are due."""
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            yield heapq.heappop(self._due)[2]

    def wait(self) -> float:
        """Seconds until the next entry is due, at most 1."""
        return min(1.0, self._due[0][0] - self._clock()) if self._due else 1.0

    def forget(self, span: Span) -> None:
        """Notes that the entries need no more tries."""
        if self._tries:
            for row in span.rows:
                self._tries.pop((span.entries.origin.file_id, row), None)


def _place(span: Span) -> tuple[str, int]:
    return span.entries.origin.file_id, span.entries.rows[span.start]
