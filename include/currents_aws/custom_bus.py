"""A custom bus of EventBridge's second generation as a target: its PutEvents, over either transport."""

from __future__ import annotations

from collections.abc import Sequence

from currents_aws.cbor_wire import CborWire, body_of
from currents_aws.custom_buses import CustomBuses
from currents_aws.put_target import PutTarget
from currents_aws.transport import Transport
from currents_core.entry import Span
from currents_core.errors import TransientError
from currents_core.limits import CUSTOM_BUS, Limits
from currents_core.ports import Finding


class CustomBus(PutTarget):
    """The custom bus with this ARN.

    ``transport`` carries the requests, to the service `eventbridgev2`. The bus takes an event of a ``sender`` once
    within five minutes; ``salt`` names what is sent again on purpose, and stays the same through its retries. With a
    number of ``groups``, the bus keeps the order in which the events of a user reach it.

    Source: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_PutEvents.html
    """

    def __init__(
        self,
        transport: Transport,
        arn: str,
        limits: Limits = CUSTOM_BUS,
        *,
        sender: str = "",
        salt: str = "",
        groups: int | None = None,
    ) -> None:
        super().__init__(transport, "PutEvents", CborWire(sender, salt, groups), limits, f"custom bus {arn}")
        self._arn = arn

    def found(self) -> Finding:
        """Looks, the way that events go, whether the bus is there and takes events.

        Raises SetupError if it does not exist, can't be looked up or takes none, TransientError if that may pass.

        Source: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_DescribeEventBus.html
        """
        found = CustomBuses(self._transport).look(self._arn)
        if found.is_coming:
            raise TransientError("it is being created; wait until it is ACTIVE, then clear the task", uri=self.uri)
        found.require_taking()
        return Finding("bus", f"{self._arn} is {found.state}")

    def body(self, chunk: Sequence[Span]) -> bytes:
        """The body of the request that sends a chunk."""
        return body_of(self._arn, chunk)
