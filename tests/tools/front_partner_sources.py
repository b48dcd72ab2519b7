"""Partner event sources: what a partner offers a customer, and what the customer's bus makes of it.

A model of local AWS, since moto's sources are ACTIVE at once and never expire:
https://docs.aws.amazon.com/eventbridge/latest/onboarding/amazon_eventbridge_partner_onboarding_guide.html
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.tools.front_api import ACCOUNT, Call
from tests.tools.front_clock import Clock
from tests.tools.front_wire import Refused

# The onboarding guide says a week; DeactivateEventSource says two. The shorter is what must not be relied upon to last.
PENDING_TIME = timedelta(days=7)


@dataclass
class Source:
    """A partner event source of one account and region."""

    name: str
    account: str
    region: str
    created: datetime
    pending_since: datetime | None
    has_bus: bool = False
    is_deleted: bool = False

    @property
    def arn(self) -> str:
        """Its ARN, which names no account: the source is shared."""
        return f"arn:aws:events:{self.region}::event-source/{self.name}"

    @property
    def expires(self) -> datetime | None:
        """When it is gone if it stays PENDING."""
        return self.pending_since + PENDING_TIME if self.pending_since else None

    def state(self, now: datetime) -> str | None:
        """Its state; None once it is gone. One that is gone is DELETED as long as the customer has the bus."""
        if self.is_deleted or (self.expires and now >= self.expires):
            return "DELETED" if self.has_bus else None
        return "PENDING" if self.pending_since else "ACTIVE"

    def times(self) -> dict[str, datetime]:
        """When it was created, and when it expires if it does."""
        expires = {"ExpirationTime": self.expires} if self.expires else {}
        return {"CreationTime": self.created, **expires}

    def describe(self, now: datetime) -> dict[str, Any]:
        """All that its customer is told."""
        partner = "/".join(self.name.split("/")[:2])
        told = {"Arn": self.arn, "CreatedBy": partner, "Name": self.name, "State": self.state(now)}
        return {**told, **self.times()}


class Sources:
    """The partner event sources of every region."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sources: dict[tuple[str, str], Source] = {}

    def create(self, name: str, account: str, region: str) -> Source:
        """A new source, for one account. Raises Refused while the name is taken, by whatever account."""
        now = self._clock.now()
        old = self._sources.get((region, name))
        if old and old.state(now) not in (None, "DELETED"):
            raise Refused("ResourceAlreadyExistsException", f"Partner event source {name} already exists.")
        source = Source(name, account, region, now, pending_since=now)
        self._sources[region, name] = source
        return source

    def there(self, region: str, prefix: str) -> list[Source]:
        """The sources of a region, in whatever state, whose names begin with a prefix."""
        now = self._clock.now()
        found = (each for (where, name), each in sorted(self._sources.items()) if where == region)
        return [each for each in found if each.state(now) and each.name.startswith(prefix)]

    def live(self, name: str, region: str) -> Source | None:
        """The source of a name, if it takes events: whether it is ACTIVE or not."""
        source = self._sources.get((region, name))
        return source if source and source.state(self._clock.now()) in ("PENDING", "ACTIVE") else None

    def find(self, call: Call, name: str, *, customer: bool) -> Source:
        """A source as its partner knows it, or its customer. Raises Refused where there is none."""
        found = next((each for each in self.there(call.region, call[name]) if each.name == call[name]), None)
        is_known = found and (found.account == ACCOUNT if customer else self.live(found.name, call.region))
        if found is None or not is_known:
            raise Refused("ResourceNotFoundException", f"Event source {call[name]} does not exist.")
        return found

    def delete(self, name: str, account: str, region: str) -> None:
        """Deletes a source of an account, if there is one."""
        source = self.live(name, region)
        if source and source.account == account:
            source.is_deleted = True

    def associate(self, source: Source) -> None:
        """Has a source be ACTIVE: the customer has a bus for it."""
        source.has_bus, source.pending_since = True, None

    def deactivate(self, source: Source) -> None:
        """Has a source be PENDING from now on."""
        source.pending_since = self._clock.now()

    def bus_deleted(self, name: str, region: str) -> None:
        """Has a source be PENDING, as the customer has no bus for it any more; one that is DELETED is gone."""
        source = self._sources.get((region, name))
        if source and source.has_bus:
            source.is_deleted = source.state(self._clock.now()) == "DELETED"
            source.has_bus = False
            self.deactivate(source)
