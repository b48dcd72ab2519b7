"""The customer's side of a partner event source: the bus of the same name that makes it ACTIVE.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-saas.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from currents_aws.asked import asked
from currents_core.errors import SetupError, TransientError

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

_MISSING, _EXISTS = "ResourceNotFoundException", "ResourceAlreadyExistsException"
_WRONG_STATE = "InvalidStateException"


@dataclass(frozen=True)
class CustomerBus:
    """The bus for the source called ``source``, by a client of the service `events` for the customer's account."""

    client: EventBridgeClient
    source: str

    def associate(self) -> Literal["associated", "activated", "unchanged"]:
        """Creates the bus for the source, or activates the source if it has one already. Returns what was done.

        Raises SetupError if the bus is left over from an earlier source, TransientError if the source can't be seen.

        Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeEventSource.html
        """
        found = asked(self.client.describe_event_source, self._uri, "lookup failed", _MISSING, Name=self.source)
        if found is None or found["State"] == "DELETED":
            raise TransientError(
                "the customer's account does not see it yet; clear the task `create`, and those after it, to offer it",
                uri=self._uri,
            )
        if found["State"] == "ACTIVE":
            return "unchanged"
        told = {"Name": self.source, "EventSourceName": self.source}
        if asked(self.client.create_event_bus, self._uri, "creating its bus failed", _EXISTS, **told):
            return "associated"
        return self._activate()

    def _activate(self) -> Literal["activated", "unchanged"]:
        """Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ActivateEventSource.html."""
        try:
            asked(self.client.activate_event_source, self._uri, "activation failed", Name=self.source)
        except SetupError as error:
            if error.code != _WRONG_STATE:
                raise
            found = asked(self.client.describe_event_source, self._uri, "lookup failed", Name=self.source)
            if found["State"] == "ACTIVE":
                # Somebody was quicker.
                return "unchanged"
            raise SetupError(
                "its bus is left over from an earlier source of the same name; delete that bus, which ends its rules "
                "too, then clear the task",
                uri=self._uri,
                code=error.code,
            ) from error
        return "activated"

    @property
    def _uri(self) -> str:
        return f"event source {self.source} in {self.client.meta.region_name}"
