"""How often to try again after a failure, and how long to wait before."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter: after attempt n, wait between 0 and min(cap, base · 2ⁿ) seconds.

    ``base`` and ``cap`` are in seconds. After ``attempts``, the first included, it is given up, and not before
    ``patience`` seconds after the first: by chance, some of many entries meet a temporary fault ten times in a row.

    Source: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter
    """

    base: float = 0.1
    cap: float = 20.0
    attempts: int = 10
    patience: float = 120.0
    uniform: Callable[[float, float], float] = random.uniform

    def delay(self, attempt: int) -> float:
        """Seconds to wait after a failed attempt. ``attempt`` counts from 0."""
        return self.uniform(0.0, min(self.cap, self.base * 2.0 ** min(attempt, 32)))
