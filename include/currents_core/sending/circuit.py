"""The circuit breaker: while every request fails, it lets a probe through now and then, and at last gives up."""

from __future__ import annotations

import time
from collections.abc import Callable

from currents_core.sending.retry import Backoff

# Failures in a row that mean "everything fails" and no bad luck; at a tenth of requests failing this is one in 10^20.
_FAILURES = 20


class Circuit:
    """Closed while requests get through. Open, it allows one request at a time, after growing waits.

    ``patience`` is how many seconds may pass without any success before ``given_up`` says so.
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
        """Whether everything failed of late."""
        return self._failures >= _FAILURES

    @property
    def given_up(self) -> bool:
        """Whether nothing got through for as long as patience lasts."""
        return self._failures > 0 and self._clock() - self._failing_since > self._patience

    def wait(self, in_flight: int) -> float:
        """Seconds until a request may go, with so many under way: 0 while closed, never while a probe is out."""
        if not self.is_open:
            return 0.0
        return float("inf") if in_flight else max(0.0, self._next_probe - self._clock())

    def succeeded(self) -> None:
        """Closes the circuit."""
        self._failures = 0

    def failed(self) -> None:
        """Counts a request of which nothing got through."""
        if not self._failures:
            self._failing_since = self._clock()
        self._failures += 1
        if self.is_open:
            self._next_probe = self._clock() + self._backoff.delay(self._failures - _FAILURES)
