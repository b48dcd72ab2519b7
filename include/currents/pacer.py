"""The pacer: holds a task to its share of the budget, in requests and in entries a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# A task that was busy elsewhere may catch up this much, in seconds of its rate.
_BURST_SECONDS = 0.05


class Pacer:
    """A token bucket over two rates; whichever is reached first holds. Safe to share between threads.

    ``None`` as a rate means that it does not bound. ``clock`` gives seconds and only moves forward.
    """

    def __init__(
        self,
        requests_per_second: float | None,
        entries_per_second: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rates = (requests_per_second, entries_per_second)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = clock()
        self.waited = 0.0

    def acquire(self, entries: int) -> None:
        """Waits until a request with ``entries`` entries may go."""
        wait = self._reserve(entries)
        if wait > 0:
            self._sleep(wait)

    def _reserve(self, entries: int) -> float:
        requests_rate, entries_rate = self._rates
        cost = max(1 / requests_rate if requests_rate else 0.0, entries / entries_rate if entries_rate else 0.0)
        with self._lock:
            now = self._clock()
            # Time that passed unused is lost, but for the burst: idling must not save up a flood.
            self._free_at = max(self._free_at, now - _BURST_SECONDS) + cost
            wait = max(0.0, self._free_at - cost - now)
            self.waited += wait
            return wait
