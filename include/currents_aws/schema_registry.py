"""Publishes the schemas of events to EventBridge's schema registry, and tells what changes there.

Source: https://docs.aws.amazon.com/eventbridge/latest/schema-reference/operations.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from currents_aws.asked import asked
from currents_core.shaping.event_schema import Schema, event_schema, schema_text, schema_version
from currents_core.shaping.registries import registry_of, schema_name
from currents_core.shaping.schema_diff import differences

_TYPE = "JSONSchemaDraft4"
_MISSING, _EXISTS = "NotFoundException", "ConflictException"


@dataclass(frozen=True, slots=True)
class Published:
    """What became of one schema. ``lines`` tell how it differs from what the registry had; a new one has none."""

    event_type: str
    registry: str
    name: str
    version: str
    outcome: Literal["created", "updated", "unchanged"]
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class SchemaRegistry:
    """The registries whose names begin with ``prefix``, for events with the given ``source``.

    ``client`` is a boto3 client of the service `schemas`.
    """

    client: Any
    prefix: str
    source: str

    def publish(self, event_types: Iterable[str]) -> Iterator[Published]:
        """Creates or updates the schema of each event type where the registry has another, one at a time.

        Each must be a documented type that Braze writes to files. A registry that is missing is created. A schema that
        says the same stays as it is, so that it gets a new version only when it changes, and repeating a broken run
        does no harm. Raises SetupError if AWS refuses, TransientError if the call may work later; what was yielded
        before is done.
        """
        ready: set[str] = set()
        for event_type in event_types:
            registry = registry_of(event_type, self.prefix)
            if registry not in ready:
                self._require(registry)
                ready.add(registry)
            yield self._published(event_type, registry)

    def _require(self, registry: str) -> None:
        """Creates a registry unless it is there, or somebody else is quicker.

        Source: https://docs.aws.amazon.com/eventbridge/latest/schema-reference/v1-registries-name-registryname.html
        """
        uri = self._uri(f"schema registry {registry}")
        if asked(self.client.describe_registry, uri, "lookup failed", _MISSING, RegistryName=registry) is None:
            description = f"Braze Currents events with the source {self.source}"[:256]
            told = {"RegistryName": registry, "Description": description}
            asked(self.client.create_registry, uri, "creation failed", _EXISTS, **told)

    def _published(self, event_type: str, registry: str) -> Published:
        """Publishes one schema.

        Source:
        https://docs.aws.amazon.com/eventbridge/latest/schema-reference/v1-registries-name-registryname-schemas-name-schemaname.html
        """
        name, version = schema_name(event_type, self.source), schema_version(event_type)
        schema = event_schema(event_type, self.source)
        uri = self._uri(f"schema {name} in registry {registry}")
        place = {"RegistryName": registry, "SchemaName": name}
        found = asked(self.client.describe_schema, uri, "lookup failed", _MISSING, **place)
        description = f"{event_type} of Braze Currents, version {version}"
        told = {**place, "Type": _TYPE, "Content": schema_text(schema), "Description": description}
        if found is None:
            asked(self.client.create_schema, uri, "creation failed", **told)
            return Published(event_type, registry, name, version, "created")
        old = _parsed(found.get("Content", ""))
        if old == schema and found.get("Type") == _TYPE:
            return Published(event_type, registry, name, version, "unchanged")
        asked(self.client.update_schema, uri, "update failed", **told)
        return Published(event_type, registry, name, version, "updated", tuple(differences(old, schema)))

    def _uri(self, what: str) -> str:
        return f"{what} in {self.client.meta.region_name}"


def _parsed(content: str) -> Schema:
    """A schema that the registry has; empty if it is none, whoever wrote it."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
