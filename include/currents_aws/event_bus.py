"""A classic event bus as a target: PutEvents, over either transport."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from currents_aws.aws_errors import translate
from currents_aws.json_wire import JsonWire, body_of
from currents_aws.put_target import PutTarget
from currents_aws.transport import Transport
from currents_core.entry import Span
from currents_core.limits import EVENT_BUS, Limits

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient


class EventBus(PutTarget):
    """The event bus ``name``, which may be its ARN.

    ``client`` is a boto3 client of the service `events`; ``transport`` carries the put requests.

    Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
    """

    def __init__(self, client: EventBridgeClient, transport: Transport, name: str, limits: Limits = EVENT_BUS) -> None:
        uri = f"event bus {name} in {client.meta.region_name}"
        super().__init__(transport, "PutEvents", JsonWire({"EventBusName": name}), limits, uri)
        self._client = client
        self._name = name

    def preflight(self) -> None:
        """Looks the bus up, because EventBridge accepts and drops events for a bus that does not exist.

        Raises SetupError if it does not exist or can't be looked up, TransientError if the call may work later.

        Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeEventBus.html
        """
        try:
            self._client.describe_event_bus(Name=self._name)
        except (ClientError, BotoCoreError) as error:
            raise translate(error, "lookup failed", self.uri) from error

    def body(self, chunk: Sequence[Span]) -> bytes:
        """The body of the request that sends a chunk."""
        return body_of(chunk)
