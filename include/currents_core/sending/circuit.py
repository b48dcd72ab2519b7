"""The circuit breaker: while every request fails, it allows a probe now and then, and finally gives up."""

from __future__ import annotations

import time
from collections.abc import Callable

from currents_core.sending.retry import Backoff

# So many failures in a row mean that everything fails. If a tenth of requests fail, chance does this once in 10^20.
_FAILURES = 20


class Circuit:
    """Closed while requests get through. When open, it allows one request at a time, after growing waits.

    ``patience`` is how long nothing may get through before ``given_up`` is true, in seconds. ``clock`` gives seconds
    and only moves forward.
    """

    def __init__(
        self,
        *,
        patience: float = 300.0,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._patience = patience
        self._backoff = backoff or Backoff(base=0.5, cap=15.0)
        self._clock = clock
        self._failures = 0
        self._failing_since = 0.0
        self._next_probe = 0.0

    @property
    def is_open(self) -> bool:
        """Whether every recent request failed."""
        return self._failures >= _FAILURES

    @property
    def given_up(self) -> bool:
        """Whether nothing has got through for longer than the patience."""
        return self._failures > 0 and self._clock() - self._failing_since > self._patience

    def wait(self, in_flight: int) -> float:
        """Seconds until another request may start while ``in_flight`` are under way.

        The wait is 0 while the circuit is closed, and infinite while a probe is under way.
        """
        if not self.is_open:
            return 0.0
        return float("inf") if in_flight else max(0.0, self._next_probe - self._clock())

    def succeeded(self) -> None:
        """Notes a request of which something got through; closes the circuit."""
        self._failures = 0

    def failed(self) -> None:
        """Notes a request of which nothing got through."""
        if not self._failures:
            self._failing_since = self._clock()
        self._failures += 1
        if self.is_open:
            self._next_probe = self._clock() + self._backoff.delay(self._failures - _FAILURES)
