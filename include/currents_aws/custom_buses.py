"""The custom buses of a region, EventBridge's second generation: found, looked at and created, over either transport.

Source: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from currents_aws.asked import asked_over
from currents_aws.scrub import scrubbed
from currents_aws.transport import Transport
from currents_core.errors import SetupError

# A bus takes events while it is updated, and also if that fails.
# Source: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_DescribeEventBus.html
_TAKING = frozenset({"ACTIVE", "UPDATING", "UPDATE_FAILED"})
_COMING, _GOING = "CREATING", "DELETING"
_EXISTS = "ResourceAlreadyExistsException"


@dataclass(frozen=True, slots=True)
class BusState:
    """The state of a custom bus, why it is in it, and for how many days it keeps events."""

    arn: str
    state: str
    reason: str
    days: int | None

    @property
    def is_coming(self) -> bool:
        """Whether it will take events in a moment."""
        return self.state == _COMING

    def require_taking(self) -> None:
        """Raises SetupError if it takes no events."""
        if self.state not in _TAKING:
            raise SetupError(
                f"it is {self.state} ({self.reason}); create it anew, or name another", uri=f"custom bus {self.arn}"
            )


class CustomBuses:
    """The custom buses of the region and account that ``transport`` carries requests to."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def look(self, arn: str) -> BusState:
        """The bus with this ARN.

        Raises SetupError if there is none, or it can't be looked up, TransientError if that may pass.

        Source: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_DescribeEventBus.html
        """
        uri = f"custom bus {arn}"
        found = asked_over(self._transport, "DescribeEventBus", uri, "lookup failed", EventBusArn=arn) or {}
        days = (found.get("StorageConfiguration") or {}).get("RetentionPeriodInDays")
        reason = scrubbed(str(found.get("StateReason") or "no reason told"))
        return BusState(arn, scrubbed(str(found.get("State"))), reason, days)

    def find(self, name: str) -> str | None:
        """The ARN of the bus with this name, or None if there is none. What is being deleted does not count.

        Raises SetupError if several have it, which AWS does not rule out for buses that accounts share.

        Source: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_ListEventBuses.html
        """
        uri = f"custom bus {name}"
        found = [each for each in self._listed(name, uri) if each["Name"] == name and each.get("State") != _GOING]
        if len(found) > 1:
            told = ", ".join(scrubbed(str(each["EventBusArn"])) for each in found)
            raise SetupError(f"several buses have this name: {told}; give the ARN as destination.name", uri=uri)
        return str(found[0]["EventBusArn"]) if found else None

    def require(self, name: str) -> str:
        """The ARN of the bus with this name. Raises SetupError if there is none."""
        arn = self.find(name)
        if arn is None:
            raise SetupError(
                "there is no such bus in the region; create it with the connector's DAG currents_connect_…, or correct "
                "destination.name or region",
                uri=f"custom bus {name}",
            )
        return arn

    def create(self, name: str, days: int | None) -> str | None:
        """Creates a bus that keeps events for so many days, or for AWS's default. Returns its ARN.

        None if there is one of this name already. The bus takes events once it is ACTIVE.

        Source: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_CreateEventBus.html
        """
        storage = {"StorageConfiguration": {"RetentionPeriodInDays": days}} if days else {}
        told = {"Name": name, **storage}
        made = asked_over(self._transport, "CreateEventBus", f"custom bus {name}", "creation failed", _EXISTS, **told)
        return str(made["EventBusArn"]) if made else None

    def _listed(self, prefix: str, uri: str) -> Iterator[Mapping[str, Any]]:
        more: dict[str, str] = {}
        while True:
            told = {"NamePrefix": prefix, **more}
            page = asked_over(self._transport, "ListEventBuses", uri, "lookup failed", **told) or {}
            yield from page.get("EventBuses") or ()
            if not page.get("NextToken"):
                return
            more = {"NextToken": str(page["NextToken"])}
