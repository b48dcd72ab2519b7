"""The steps of a classic event bus: created, archived, and its events logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from currents_airflow.links import EventBusLink, LogGroupLink
from currents_airflow.operators.connect import CurrentsConnectOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from currents_airflow.connect_parts import ConnectParts


class CurrentsCreateBusOperator(CurrentsConnectOperator):
    """Creates the bus where it is missing and the form's `create_bus` is on."""

    operator_extra_links = (EventBusLink(),)

    def set_up(self, context: Context, parts: ConnectParts, /) -> str:
        """Returns the ARN of the bus. Raises SetupError if there is none."""
        self.addresses = bus_links(parts)
        found = parts.bus.find()
        if found:
            self.log.info("%s: it is there", parts.bus.uri)
            return found
        if context["params"]["create_bus"] and parts.bus.create():
            self.log.info("%s: created", parts.bus.uri)
        return parts.bus.arn()


class CurrentsArchiveOperator(CurrentsConnectOperator):
    """Has an archive keep the events of the bus for as many days as the form's `archive_days` says, if it does."""

    operator_extra_links = (EventBusLink(),)

    def set_up(self, context: Context, parts: ConnectParts, /) -> None:
        """Creates the archive, or changes it."""
        from currents_core.connecting.names import archive_name

        self.addresses = bus_links(parts)
        days = context["params"]["archive_days"]
        if not days:
            self.not_asked("an archive")
            return
        name = archive_name(parts.bus.plain_name)
        done = parts.bus.keep_archive(name, days)
        self.log.info("archive %s, of %s days: %s", name, days, done)


class CurrentsLogEventsOperator(CurrentsConnectOperator):
    """Has the events of the bus written to a log group, if the form's `log_events` is on."""

    operator_extra_links = (LogGroupLink(), EventBusLink())

    def set_up(self, context: Context, parts: ConnectParts, /) -> None:
        """Makes the log group and the rule, where they are missing."""
        from currents_aws.console import log_address
        from currents_aws.event_log import EventLog

        self.addresses = bus_links(parts)
        if not context["params"]["log_events"]:
            self.not_asked("a log of events")
            return
        log = EventLog(parts.consumer("events"), parts.consumer("logs"), parts.bus.arn())
        log.turn_on(parts.connector.event_source)
        self.addresses[LogGroupLink.name] = log_address(parts.connector.destination.region, log.group)
        self.log.info("%s: what it receives is written to log group %s", parts.bus.uri, log.group)


def bus_links(parts: ConnectParts) -> dict[str, str]:
    """The page of the bus, by the name of the link."""
    from currents_aws.console import bus_address

    return {EventBusLink.name: bus_address(parts.connector.destination.region, parts.connector.destination_name)}
