"""Which failures are tried again, how often, and how long after."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

# Error codes of single entries: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
THROTTLED_CODES = frozenset({"ThrottlingException"})
TRANSIENT_CODES = THROTTLED_CODES | {"InternalFailure", "InternalException"}
# Somebody has to change a policy: one entry may be special, a row of them says that nothing can go.
SETUP_CODES = frozenset(
    {
        "AccessDeniedException",
        "InvalidAccountIdException",
        "NotAuthorizedForSourceException",
        "NotAuthorizedForDetailTypeException",
    }
)
FINAL_CODES = SETUP_CODES | {"InvalidArgument", "MalformedDetail", "RedactionFailure"}


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
