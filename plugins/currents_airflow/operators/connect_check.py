"""The steps that show that a destination works: all that an export checks first, and test events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from currents_airflow.operators.base import ConnectorOperator
from currents_core.errors import DeliveryError
from currents_core.setup.run_request import RunRequest

if TYPE_CHECKING:
    from airflow.sdk import Context

    from currents_core.setup.settings import Connector


class CurrentsCheckOperator(ConnectorOperator):
    """Checks the destination as an export does, and tries whether events may be sent."""

    def run_for(self, context: Context, connector: Connector, /) -> None:
        """Logs a line for each finding, and what to do next. Raises SetupError where an export would not work."""
        # Whoever parses DAGs runs no step.
        from currents_airflow.parts import RunParts

        parts = RunParts(connector, RunRequest(hours=()), context["dag_run"].run_id, self.verify)
        try:
            self.tell(parts.preflight(tries=True))
        finally:
            parts.bus.close()
        self.log.info("%s: exports can begin; turn the DAG currents_export_%s on", connector.name, connector.name)


class CurrentsTestEventsOperator(ConnectorOperator):
    """Sends an event, marked as a test, of each event type that the form's `test_events` names, if it names any."""

    def run_for(self, context: Context, connector: Connector, /) -> None:
        """Logs what became of each of them. Raises DeliveryError if the destination refused one."""
        # Whoever parses DAGs runs no step.
        from currents_airflow.connect_parts import ConnectParts
        from currents_airflow.parts import RunParts
        from currents_aws.try_destination import try_destination
        from currents_core.crew import Threads
        from currents_core.setup.run_request import patterns_of

        patterns = patterns_of(context["params"], "test_events")
        if not patterns:
            self.log.info("%s: no test events were asked for in the form", connector.name)
            return
        consumer = ConnectParts(connector, self.verify)
        # Nobody knows anything of a customer's account without a connection to it.
        is_known = connector.destination.kind != "partner_source" or bool(consumer.customer_conn_id)
        tried = consumer.with_arn(_with_types(connector, patterns))
        parts = RunParts(tried, RunRequest(hours=()), context["dag_run"].run_id, self.verify)
        try:
            found = try_destination(tried, parts.bus, consumer.consumer if is_known else None, Threads())
        finally:
            parts.bus.close()
            consumer.close()
        self.tell(found.findings)
        if found.refused:
            raise DeliveryError(
                f"{connector.name}: {found.refused} of {len(found.findings)} test events were refused; see the log"
            )


def _with_types(connector: Connector, patterns: tuple[str, ...]) -> Connector:
    """The connector, for those of its event types that match. Raises SetupError if a pattern matches none of them."""
    from currents_core.setup.settings import EventTypes
    from currents_core.shaping.event_schema import exported_types

    asked, exported = RunRequest(hours=(), event_types=patterns), exported_types(connector)
    asked.require_known(exported)
    chosen = EventTypes(include=tuple(filter(asked.wants, exported)))
    return connector.model_copy(update={"event_types": chosen})
