"""How often a failure is tried again, and after how long."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter: attempt n waits between 0 and min(cap, base · 2ⁿ) seconds.

    Source: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter
    """

    base: float = 0.1
    cap: float = 20.0
    attempts: int = 10
    uniform: Callable[[float, float], float] = random.uniform

    def delay(self, attempt: int) -> float:
        """Seconds to wait before try number ``attempt`` + 2; ``attempt`` counts from 0."""
        return self.uniform(0.0, min(self.cap, self.base * 2.0 ** min(attempt, 32)))
