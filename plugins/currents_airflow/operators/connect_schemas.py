"""The steps about schemas: those of Currents events are published, and EventBridge discovers what arrives."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from currents_airflow.operators.connect import CurrentsConnectOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from currents_airflow.connect_parts import ConnectParts


class CurrentsPublishSchemasOperator(CurrentsConnectOperator):
    """Publishes the schemas of the connector's event types, if the form's `publish_schemas` is on."""

    def set_up(self, context: Context, parts: ConnectParts, /) -> dict[str, int]:
        """Returns how many were created, updated and unchanged; the log says how those that changed differ."""
        from currents_aws.schema_registry import SchemaRegistry
        from currents_core.connecting.names import REGISTRY_PREFIX
        from currents_core.shaping.event_schema import exported_types

        if not context["params"]["publish_schemas"]:
            self.not_asked("publishing schemas")
            return {}
        registry = SchemaRegistry(parts.consumer("schemas"), REGISTRY_PREFIX, parts.connector.event_source)
        counts: Counter[str] = Counter()
        for each in registry.publish(exported_types(parts.connector)):
            counts[each.outcome] += 1
            if each.outcome != "unchanged":
                self.log.info("%s", "\n  ".join([f"{each.outcome} {each.registry}/{each.name}", *each.lines]))
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        self.log.info("%s: schemas: %s", self.connector, told or "the connector exports no documented event type")
        return dict(counts)


class CurrentsDiscoverSchemasOperator(CurrentsConnectOperator):
    """Has EventBridge discover the schemas of what the bus receives, if the form's `discover_schemas` is on."""

    def set_up(self, context: Context, parts: ConnectParts, /) -> None:
        """Creates the discoverer of the bus, or starts it."""
        from currents_aws.discoverer import discover_schemas

        if not context["params"]["discover_schemas"]:
            self.not_asked("schema discovery")
            return
        arn = parts.bus.arn()
        done = discover_schemas(parts.consumer("schemas"), arn)
        self.log.info("schema discoverer of %s: %s", arn, done)
