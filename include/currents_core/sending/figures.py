"""What sending came to, in figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class SendFigures:
    """What sending came to: requests, entries accepted, what went wrong with how many of them, seconds waited."""

    requests: int = 0
    sent: int = 0
    throttled: int = 0
    failed: int = 0
    maybe_accepted: int = 0
    waited: float = 0.0

    def notes(self) -> dict[str, int]:
        """What is worth a note in an account."""
        return {"sent again though maybe accepted": self.maybe_accepted} if self.maybe_accepted else {}
