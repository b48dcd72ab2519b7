"""The figures of sending."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class SendFigures:
    """What sending has done so far.

    ``requests`` counts requests. ``sent`` counts accepted entries. The others count tries of entries that failed:
    ``failed`` all of them, ``throttled`` those that were throttled, ``maybe_accepted`` those without an answer.
    ``waited`` is the time that entries were ready but had to wait, in seconds.
    """

    requests: int = 0
    sent: int = 0
    throttled: int = 0
    failed: int = 0
    maybe_accepted: int = 0
    waited: float = 0.0

    def notes(self) -> dict[str, int]:
        """The notes that an account gets from sending."""
        return {"sent again though maybe accepted": self.maybe_accepted} if self.maybe_accepted else {}
