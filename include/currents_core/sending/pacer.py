"""The pacer: holds a task to its share of the budget, in requests and in entries a second."""

from __future__ import annotations

import time
from collections.abc import Callable

# A task that was busy elsewhere may catch up this much, in seconds of its rate. With the request that begins it, no
# second then holds more than a twentieth over the share.
_BURST_SECONDS = 0.04
# After throttling the pace falls by twice the share of entries that were throttled, at most by half, and comes back by
# a tenth of the task's share a second: multiplicative decrease and additive increase let tasks share fairly.
# Source: https://datatracker.ietf.org/doc/html/rfc5681 (the same rule keeps TCP fair)
_DECREASE = 2.0
_LEAST_FACTOR = 0.5
_RECOVERY = 0.1
_LEAST = 0.02
# Answers are judged together for this long: those of requests that were under way together tell of one congestion.
_WINDOW_SECONDS = 0.5


class Pacer:
    """A token bucket over two rates, of which the one reached first holds, and which throttling slows for a while.

    None as a rate means that it does not bound. ``clock`` gives seconds and only moves forward. Used by one thread.
    """

    def __init__(
        self,
        requests_per_second: float | None,
        entries_per_second: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rates = (requests_per_second, entries_per_second)
        self._clock = clock
        self._free_at = clock()
        self._window_began = self._free_at
        self._answered = self._throttled = 0
        # The part of its share that the task goes at, from 0 to 1.
        self.pace = 1.0

    def take(self, entries: int) -> float:
        """Takes the right to send a request of so many entries; returns 0, or the seconds until it can be taken."""
        now = self._clock()
        wait = self._free_at - now
        if wait > 0:
            return wait
        requests_rate, entries_rate = self._rates
        cost = max(1 / requests_rate if requests_rate else 0.0, entries / entries_rate if entries_rate else 0.0)
        # Time that passed unused is lost, but for the burst: idling must not save up a flood.
        self._free_at = max(self._free_at, now - _BURST_SECONDS) + cost / self.pace
        return 0.0

    def answered(self, entries: int, throttled: int) -> None:
        """Takes in how many entries of a request were throttled, and sets the pace by it."""
        self._answered += entries
        self._throttled += throttled
        now = self._clock()
        elapsed = now - self._window_began
        if elapsed < _WINDOW_SECONDS:
            return
        if self._throttled:
            factor = max(_LEAST_FACTOR, 1 - _DECREASE * self._throttled / self._answered)
            self.pace = max(_LEAST, self.pace * factor)
        else:
            self.pace = min(1.0, self.pace + _RECOVERY * elapsed)
        self._window_began = now
        self._answered = self._throttled = 0
