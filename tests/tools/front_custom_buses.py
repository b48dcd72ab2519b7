"""Custom buses, EventBridge's second generation, as far as exports need them.

A model of local AWS, since moto has none: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/Welcome.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.tools.front_api import ACCOUNT, Call, Handler, Tokens, new_arn, only, page
from tests.tools.front_clock import Clock
from tests.tools.front_wire import Refused

# Creation and deletion are asynchronous; how long they take is not published.
CHANGE_SECONDS = 5.0
KEPT = ("Description", "EncryptionConfiguration", "StorageConfiguration")
CREATED = ("EventBusArn", "Name", "CreationTime", "State", *KEPT)
LISTED = ("Name", "EventBusArn", "Description", "CreationTime", "LastModifiedTime", "State")


@dataclass
class Subscriber:
    """Has the events of a bus in a queue; ``told`` is what DescribeSubscriber tells beside."""

    arn: str
    bus: str
    created: datetime
    told: dict[str, Any]

    def describe(self) -> dict[str, Any]:
        """All that DescribeSubscriber tells."""
        times = {"CreationTime": self.created, "LastModifiedTime": self.created}
        return {"SubscriberArn": self.arn, "Revoked": False, **times, **self.told}

    @property
    def queue(self) -> str:
        """The ARN of its queue."""
        return str(self.told["InvokeConfiguration"]["TargetArn"])


@dataclass
class CustomBus:
    """A bus, by the times at which its creation and its deletion began."""

    arn: str
    name: str
    region: str
    created: datetime
    told: dict[str, Any]
    deleted: datetime | None = None
    numbers: int = 0
    subscribers: dict[str, Subscriber] = field(default_factory=dict)

    def state(self, now: datetime) -> str | None:
        """Its state; None once it is gone."""
        if self.deleted:
            return "DELETING" if (now - self.deleted).total_seconds() < CHANGE_SECONDS else None
        return "CREATING" if (now - self.created).total_seconds() < CHANGE_SECONDS else "ACTIVE"

    def describe(self, now: datetime) -> dict[str, Any]:
        """All that DescribeEventBus tells."""
        times = {"CreationTime": self.created, "LastModifiedTime": self.deleted or self.created}
        return {"EventBusArn": self.arn, "Name": self.name, "State": self.state(now), **times, **self.told}

    def next_number(self) -> str:
        """The sequence number of its next event."""
        self.numbers += 1
        return f"{self.numbers:020}"


class CustomBuses:
    """The buses of every region."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buses: dict[str, CustomBus] = {}
        self._tokens = Tokens()

    def handlers(self) -> dict[str, Handler]:
        """The operations, by name."""
        return {
            "CreateEventBus": self.create,
            "DescribeEventBus": self.describe,
            "ListEventBuses": self.list,
            "DeleteEventBus": self.delete,
        }

    def there(self, region: str) -> list[CustomBus]:
        """The buses of a region, in whatever state."""
        now = self._clock.now()
        return [bus for bus in self._buses.values() if bus.region == region and bus.state(now)]

    def find(self, arn: str, region: str) -> CustomBus:
        """The bus of an ARN. Raises Refused where there is none."""
        bus = self._buses.get(arn)
        if bus is None or bus.region != region or bus.state(self._clock.now()) is None:
            raise Refused("ResourceNotFoundException", f"Event bus {arn} does not exist.")
        return bus

    def active(self, arn: str, region: str) -> CustomBus:
        """The bus of an ARN. Raises Refused where it is not ACTIVE."""
        bus = self.find(arn, region)
        state = bus.state(self._clock.now())
        if state != "ACTIVE":
            raise Refused("InvalidStateException", f"Event bus {arn} is {state}, not ACTIVE.")
        return bus

    async def create(self, call: Call) -> dict[str, Any]:
        """CreateEventBus: the bus is CREATING for a moment. The same token creates no other."""
        answered = self._tokens.answered(call)
        if answered:
            return answered
        if any(bus.name == call["Name"] for bus in self.there(call.region)):
            raise Refused("ResourceAlreadyExistsException", f"Event bus {call['Name']} already exists.")
        bus = CustomBus(new_arn("event-busv2", call), call["Name"], call.region, self._clock.now(), call.chosen(*KEPT))
        self._buses[bus.arn] = bus
        return self._tokens.note(call, only(bus.describe(bus.created), CREATED))

    async def describe(self, call: Call) -> dict[str, Any]:
        """DescribeEventBus."""
        return self.find(call["EventBusArn"], call.region).describe(self._clock.now())

    async def list(self, call: Call) -> dict[str, Any]:
        """ListEventBuses."""
        prefix, account = call.get("NamePrefix") or "", call.get("EventBusAccountId") or ACCOUNT
        there = [bus for bus in self.there(call.region) if bus.name.startswith(prefix) and account == ACCOUNT]
        found = [{**only(bus.describe(self._clock.now()), LISTED), "EventBusAccountId": ACCOUNT} for bus in there]
        buses, more = page(found, call, "MaxResults")
        return {"EventBuses": buses, **more}

    async def delete(self, call: Call) -> dict[str, Any]:
        """DeleteEventBus: the bus is DELETING for a moment. One with subscribers is not deleted."""
        bus = self.active(call["EventBusArn"], call.region)
        if bus.subscribers:
            raise Refused("ResourceInUseException", f"Event bus {bus.arn} has subscribers.")
        bus.deleted = self._clock.now()
        return {}
