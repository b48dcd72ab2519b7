"""A classic event bus as a target: PutEvents, over either transport."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from currents_aws.asked import asked
from currents_aws.global_endpoint import endpoint_found
from currents_aws.json_wire import JsonWire, body_of, head_of
from currents_aws.put_target import PutTarget
from currents_aws.scrub import scrubbed
from currents_aws.transport import Transport
from currents_core.entry import Span
from currents_core.errors import TransientError
from currents_core.limits import EVENT_BUS, Limits
from currents_core.ports import Finding

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient


class EventBus(PutTarget):
    """The event bus ``name``, which may be its ARN.

    ``client`` is a boto3 client of the service `events`; ``transport`` carries the put requests. With an
    ``endpoint_id`` they go to that global endpoint, and the transport must be made for it.

    Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
    """

    def __init__(
        self,
        client: EventBridgeClient,
        transport: Transport,
        name: str,
        limits: Limits = EVENT_BUS,
        *,
        endpoint_id: str | None = None,
    ) -> None:
        uri = f"event bus {name} in {client.meta.region_name}"
        super().__init__(transport, "PutEvents", JsonWire({"EventBusName": name}), limits, uri)
        self._client = client
        self._name = name
        self._endpoint_id = endpoint_id
        self._head = head_of({"EndpointId": endpoint_id} if endpoint_id else {})

    def found(self) -> Finding:
        """Looks the bus up, because EventBridge accepts and drops events for a bus that does not exist.

        Looks up its global endpoint, too. A region that fails is what a global endpoint is for, so with one a warning
        takes the place of a TransientError.

        Raises SetupError if one of them takes no events or can't be looked up, TransientError if the call may work
        later.

        Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeEventBus.html
        """
        if not self._endpoint_id:
            return Finding("bus", f"{self._arn()} is there")
        try:
            return endpoint_found(self._client, self._endpoint_id, self._arn())
        except TransientError as error:
            return Finding("endpoint", f"{error}; sending to the global endpoint all the same", is_warning=True)

    def _arn(self) -> str:
        return scrubbed(asked(self._client.describe_event_bus, self.uri, "lookup failed", Name=self._name)["Arn"])

    def body(self, chunk: Sequence[Span]) -> bytes:
        """The body of the request that sends a chunk."""
        return body_of(chunk, self._head)
