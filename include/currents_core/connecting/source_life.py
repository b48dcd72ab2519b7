"""The life of a partner event source: offered, associated with a bus, expired or deleted, and offered again.

Source: https://docs.aws.amazon.com/eventbridge/latest/onboarding/amazon_eventbridge_partner_onboarding_guide.html
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from currents_core.counted import counted

_DAY = timedelta(days=1)
# AWS's pages disagree on how long a source waits, one week or two. Where AWS does not say, the shorter one is told.
_PENDING_TIME = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Offer:
    """A partner event source as its partner sees it: its name, when it was made and when it expires.

    ``state`` is PENDING, ACTIVE or DELETED.
    """

    name: str
    state: str
    created: datetime | None = None
    expires: datetime | None = None

    @property
    def is_active(self) -> bool:
        """Whether events that are sent to it arrive."""
        return self.state == "ACTIVE"

    @property
    def is_gone(self) -> bool:
        """Whether it must be made again."""
        return self.state == "DELETED"

    @property
    def ends(self) -> datetime | None:
        """When it expires if nobody associates it with a bus."""
        return self.expires or (self.created + _PENDING_TIME if self.created else None)

    def told(self, now: datetime) -> str:
        """What there is to know of it, in a line."""
        if self.state != "PENDING":
            return f"{self.name} is {self.state}"
        return f"{self.name} is PENDING{self._since(now)}: EventBridge drops its events until {self._until()}"

    def warns(self, last: datetime | None, now: datetime) -> bool:
        """Whether it is time to warn that it is pending: each day after it was made, or after the ``last`` warning."""
        since = max((each for each in (self.created, last) if each), default=None)
        return self.state == "PENDING" and (since is None or now - since >= _DAY)

    def _since(self, now: datetime) -> str:
        days = (now - self.created) // _DAY if self.created else 0
        return f" for {counted(days, 'day')}" if days > 0 else ""

    def _until(self) -> str:
        until = "the customer associates it with a bus"
        return f"{until}; it expires at {self.ends:%Y-%m-%d %H:%M} UTC" if self.ends else until
