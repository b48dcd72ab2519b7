"""A custom bus of EventBridge's second generation as a target: its PutEvents, over either transport."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

import cbor2

from currents_aws.aws_errors import fault
from currents_aws.cbor_wire import CborWire, body_of
from currents_aws.put_target import PutTarget
from currents_aws.scrub import scrubbed
from currents_aws.transport import Answer, NoAnswer, Transport
from currents_core.entry import Span
from currents_core.errors import CurrentsError, SetupError, TransientError
from currents_core.limits import CUSTOM_BUS, Limits
from currents_core.ports import Finding

# A bus takes events while it is updated, and also if that fails.
# Source: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_DescribeEventBus.html
_TAKING = frozenset({"ACTIVE", "UPDATING", "UPDATE_FAILED"})
_COMING = "CREATING"
_NETWORK = "check the network, the region and the endpoint"


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
        found = self._looked_up().output
        state = scrubbed(str(found.get("State")))
        if state == _COMING:
            raise TransientError("it is being created; wait until it is ACTIVE, then clear the task", uri=self.uri)
        if state not in _TAKING:
            reason = scrubbed(str(found.get("StateReason") or "no reason told"))
            raise SetupError(f"it is {state} ({reason}); create it anew, or name another", uri=self.uri)
        return Finding("bus", f"{self._arn} is {state}")

    def body(self, chunk: Sequence[Span]) -> bytes:
        """The body of the request that sends a chunk."""
        return body_of(self._arn, chunk)

    def _looked_up(self) -> Answer:
        told: Future[Answer | NoAnswer | CurrentsError] = Future()
        self._transport.send("DescribeEventBus", cbor2.dumps({"EventBusArn": self._arn}), told.set_result)
        answer = told.result()
        if isinstance(answer, CurrentsError):
            raise answer
        if isinstance(answer, NoAnswer):
            raise TransientError(f"lookup failed: no answer ({scrubbed(answer.reason)}); {_NETWORK}", uri=self.uri)
        if answer.code:
            raise fault("lookup failed", answer.code, answer.message, answer.status, self.uri)
        return answer
