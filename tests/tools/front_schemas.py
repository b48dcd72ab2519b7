"""EventBridge's schema registries, as far as exports need them.

A model of local AWS, since moto has none: https://docs.aws.amazon.com/eventbridge/latest/schema-reference/index.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from tests.tools.front_api import ACCOUNT, Api, Call, Handler, only, page, wire_of
from tests.tools.front_clock import Clock
from tests.tools.front_discoverers import Discoverers, absent
from tests.tools.front_wire import Refused

SERVICE = "schemas"
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html#eb-schemas-limits
MAX_SCHEMAS = 100
KEPT = ("Description", "tags")


@dataclass
class Schema:
    """A schema, with its versions from 1 on, each with what it says and when it was made."""

    arn: str
    name: str
    told: dict[str, Any]
    versions: list[dict[str, Any]] = field(default_factory=list)

    def add(self, content: str, kind: str, now: datetime) -> None:
        """Adds a version."""
        number = str(len(self.versions) + 1)
        self.versions.append({"Content": content, "Type": kind, "SchemaVersion": number, "VersionCreatedDate": now})

    def describe(self, number: str | None = None) -> dict[str, Any]:
        """All that is told of a version, or of the last. Raises Refused where there is no such version."""
        found = next((each for each in reversed(self.versions) if number in (None, each["SchemaVersion"])), None)
        if found is None:
            raise absent("Schema version", f"{self.name} {number}")
        changed = {"LastModified": self.versions[-1]["VersionCreatedDate"]}
        return {"SchemaArn": self.arn, "SchemaName": self.name, **self.told, **found, **changed}


@dataclass
class Registry:
    """A registry of schemas."""

    arn: str
    name: str
    told: dict[str, Any]
    schemas: dict[str, Schema] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """All that is told of it."""
        return {"RegistryArn": self.arn, "RegistryName": self.name, **self.told}


class Registries:
    """The registries of every region, and their schemas."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._registries: dict[tuple[str, str], Registry] = {}

    def handlers(self) -> dict[str, Handler]:
        """The operations, by name."""
        return {
            "CreateRegistry": self.create_registry,
            "DescribeRegistry": self.describe_registry,
            "CreateSchema": self.create,
            "UpdateSchema": self.update,
            "DescribeSchema": self.describe,
            "ListSchemas": self.list_schemas,
            "ListSchemaVersions": self.list_versions,
        }

    async def create_registry(self, call: Call) -> dict[str, Any]:
        """CreateRegistry."""
        key = call.region, call["registryName"]
        if key in self._registries:
            raise Refused("ConflictException", f"Registry with name {key[1]} already exists.")
        arn = f"arn:aws:schemas:{call.region}:{ACCOUNT}:registry/{key[1]}"
        self._registries[key] = Registry(arn, key[1], call.chosen(*KEPT))
        return self._registries[key].describe()

    async def describe_registry(self, call: Call) -> dict[str, Any]:
        """DescribeRegistry."""
        return self._registry(call).describe()

    async def create(self, call: Call) -> dict[str, Any]:
        """CreateSchema, with its version 1. The model has one error for all that may be wrong with a request."""
        registry, name = self._registry(call, call.invalid), call["schemaName"]
        if name in registry.schemas:
            raise Refused(call.invalid, f"Schema with name {name} already exists.")
        if len(registry.schemas) >= MAX_SCHEMAS:
            raise Refused(call.invalid, f"Registry {registry.name} has {MAX_SCHEMAS} schemas already.")
        _check_content(call)
        arn = f"arn:aws:schemas:{call.region}:{ACCOUNT}:schema/{registry.name}/{name}"
        schema = Schema(arn, name, call.chosen(*KEPT))
        schema.add(call["Content"], call["Type"], self._clock.now())
        registry.schemas[name] = schema
        return _without_content(schema)

    async def update(self, call: Call) -> dict[str, Any]:
        """UpdateSchema: what has content makes a new version."""
        schema = self._schema(call)
        _check_content(call)
        schema.told |= call.chosen("Description")
        if call.get("Content"):
            kind = call.get("Type") or schema.versions[-1]["Type"]
            schema.add(call["Content"], kind, self._clock.now())
        return _without_content(schema)

    async def describe(self, call: Call) -> dict[str, Any]:
        """DescribeSchema, of a version or of the last."""
        return self._schema(call).describe(call.get("schemaVersion"))

    async def list_schemas(self, call: Call) -> dict[str, Any]:
        """ListSchemas."""
        prefix = call.get("schemaNamePrefix") or ""
        found = [
            only(schema.describe(), ("SchemaArn", "SchemaName", "LastModified", "tags"))
            | {"VersionCount": len(schema.versions)}
            for name, schema in sorted(self._registry(call, call.invalid).schemas.items())
            if name.startswith(prefix)
        ]
        schemas, more = page(found, call, "limit", "nextToken")
        return {"Schemas": schemas, **more}

    async def list_versions(self, call: Call) -> dict[str, Any]:
        """ListSchemaVersions, the last first."""
        schema = self._schema(call)
        names = ("SchemaArn", "SchemaName", "SchemaVersion", "Type")
        found = [only(schema.describe(each["SchemaVersion"]), names) for each in reversed(schema.versions)]
        versions, more = page(found, call, "limit", "nextToken")
        return {"SchemaVersions": versions, **more}

    def _registry(self, call: Call, code: str = "NotFoundException") -> Registry:
        found = self._registries.get((call.region, call["registryName"]))
        if found is None:
            raise Refused(code, f"Registry with name {call['registryName']} does not exist.")
        return found

    def _schema(self, call: Call) -> Schema:
        found = self._registry(call).schemas.get(call["schemaName"])
        if found is None:
            raise absent("Schema", call["schemaName"])
        return found


def _check_content(call: Call) -> None:
    """Raises Refused where a schema's content is given and is no JSON object."""
    try:
        is_object = isinstance(orjson.loads(call.get("Content") or "{}"), dict)
    except orjson.JSONDecodeError:
        is_object = False
    if not is_object:
        raise Refused(call.invalid, "Content must be a JSON object.")


def _without_content(schema: Schema) -> dict[str, Any]:
    told = schema.describe()
    del told["Content"]
    return told


def schemas_api(clock: Clock) -> Api:
    """The service."""
    handlers = Registries(clock).handlers() | Discoverers().handlers()
    return Api(SERVICE, "schemas", wire_of(SERVICE), "BadRequestException", handlers)
