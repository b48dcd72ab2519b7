"""A custom bus of EventBridge's second generation as a target: its PutEvents, over either transport."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from currents_aws.aws_errors import translate
from currents_aws.cbor_wire import CborWire, body_of
from currents_aws.put_target import PutTarget
from currents_aws.transport import Transport
from currents_core.entry import Span
from currents_core.errors import SetupError, TransientError
from currents_core.limits import CUSTOM_BUS, Limits

# A bus takes events while it is updated, and also if that fails.
# Source: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_DescribeEventBus.html
_TAKING = frozenset({"ACTIVE", "UPDATING", "UPDATE_FAILED"})
_COMING = "CREATING"


class CustomBus(PutTarget):
    """The custom bus with this ARN.

    ``client`` is a boto3 client of the service `eventbridgev2`; ``transport`` carries the put requests. The bus takes
    an event once within five minutes; ``salt`` names what is sent again on purpose, and stays the same through its
    retries.

    Source: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_PutEvents.html
    """

    def __init__(
        self, client: Any, transport: Transport, arn: str, limits: Limits = CUSTOM_BUS, *, salt: str = ""
    ) -> None:
        super().__init__(transport, "PutEvents", CborWire(salt), limits, f"custom bus {arn}")
        self._client = client
        self._arn = arn

    def preflight(self) -> None:
        """Looks whether the bus is there and takes events.

        Raises SetupError if it does not exist, can't be looked up or takes none, TransientError if that may pass.

        Source: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_DescribeEventBus.html
        """
        try:
            found = self._client.describe_event_bus(EventBusArn=self._arn)
        except (ClientError, BotoCoreError) as error:
            raise translate(error, "lookup failed", self.uri) from error
        state = str(found.get("State"))
        if state == _COMING:
            raise TransientError("it is being created; wait until it is ACTIVE, then clear the task", uri=self.uri)
        if state not in _TAKING:
            reason = found.get("StateReason") or "no reason told"
            raise SetupError(f"it is {state} ({reason}); create it anew, or name another", uri=self.uri)

    def body(self, chunk: Sequence[Span]) -> bytes:
        """The body of the request that sends a chunk."""
        return body_of(self._arn, chunk)
