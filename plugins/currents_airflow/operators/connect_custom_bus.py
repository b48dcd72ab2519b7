"""The steps of a custom bus: created, waited for, and a subscriber shown to try it with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from currents_airflow.operators.connect import CurrentsAwaitOperator, CurrentsConnectOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from currents_airflow.connect_parts import ConnectParts


class CurrentsCreateCustomBusOperator(CurrentsConnectOperator):
    """Creates the bus where it is missing and the form's `create_bus` is on."""

    def set_up(self, context: Context, parts: ConnectParts, /) -> str:
        """Returns the ARN of the bus. Raises SetupError if there is none, and none is created.

        A bus gets its ARN when it is created, so one that is named by its ARN can't be.
        """
        name, params = parts.connector.destination_name, context["params"]
        found = name if name.startswith("arn:") else parts.custom_buses.find(name)
        if found:
            self.log.info("custom bus %s: it need not be created", found)
            return found
        if params["create_bus"] and (made := parts.custom_buses.create(name, params["retention_days"])):
            self.log.info("custom bus %s: created", made)
            return made
        return parts.custom_buses.require(name)


class CurrentsAwaitCustomBusOperator(CurrentsAwaitOperator):
    """Waits until the bus takes events.

    :param bus: its ARN, as ``CurrentsCreateCustomBusOperator`` returns
    """

    template_fields: Sequence[str] = (*CurrentsAwaitOperator.template_fields, "bus")

    def __init__(self, *, bus: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bus = bus

    def is_there(self, _context: Context, parts: ConnectParts, /) -> bool:
        """Whether it does. Raises SetupError if it will not, or is gone."""
        found = parts.custom_buses.look(self.bus)
        if found.is_coming:
            self.log.info("custom bus %s: %s", self.bus, found.state)
            return False
        found.require_taking()
        kept = f"; it keeps events for {found.days} days" if found.days else ""
        self.log.info("custom bus %s: %s%s", self.bus, found.state, kept)
        return True


class CurrentsShowSubscriberOperator(CurrentsConnectOperator):
    """Shows how to receive the events of the bus.

    :param bus: its ARN, as ``CurrentsCreateCustomBusOperator`` returns
    """

    template_fields: Sequence[str] = (*CurrentsConnectOperator.template_fields, "bus")

    def __init__(self, *, bus: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bus = bus

    def set_up(self, _context: Context, _parts: ConnectParts, /) -> None:
        """Logs a command."""
        from currents_core.connecting.shown import subscriber_example

        self.log.info(
            "To receive events, put a queue for QUEUE and a role that may send to it for ROLE into this command:\n%s",
            subscriber_example(self.bus),
        )
