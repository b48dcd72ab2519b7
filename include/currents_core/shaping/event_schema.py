"""The JSON Schema of each documented event type, as an event of it arrives from EventBridge.

Braze offers none for Currents. These are draft 4, which EventBridge's schema registry takes, and follow from the
catalog alone. They have the form of AWS's own schemas: the whole EventBridge event, with the envelope as a definition.
AWS's code bindings and rule editors look for `detail` in the event, so a schema of the envelope alone would not do.

A schema holds for every event that is sent, but for two: where the manifest tells as drift that a field has another
type than documented, and where a rule of one's own redacts or hashes a number, boolean or list that the catalog does
not mark as personal data. Only what the exporter itself writes is required: fields that Braze documents as never null
may be dropped by a rule, be not finite, or be missing from a file, and Braze has loosened many.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-schema-create.html,
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html and
https://json-schema.org/draft-04/draft-fge-json-schema-validation-00
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any, get_args

from currents_core.catalog import SPLIT_INTO, EventType, Field, catalog, envelope_name
from currents_core.mode import Mode
from currents_core.setup.settings import Connector

Schema = dict[str, Any]

# The keyword that has the version of a schema.
VERSION = "x-currents-schema-version"
_VERSION_LENGTH = 12

_TEXT: Schema = {"type": "string"}
# EventBridge takes integers within int64. Formats are for code bindings; validators pass over these.
_INTEGER: Schema = {"type": "integer", "format": "int64"}
_TYPES: dict[str, Schema] = {
    "string": _TEXT,
    "int": _INTEGER,
    "long": _INTEGER,
    # A 32-bit float is sent as its shortest decimal, and files may hold decimals instead.
    "float": {"type": "number", "format": "double"},
    "boolean": {"type": "boolean"},
    "array<string>": {"type": "array", "items": {"type": ["string", "null"]}},
    "json": {"type": ["string", "object"]},
}
_IS_JSON = "JSON text; an object, if the file has a struct or a map."
_IS_OWN = "The customer's own properties: an object; a string, if they are not a JSON object."
_NEVER_NULL = "Braze documents it as never null."
_PERSONAL = "Personal data."
_ID = "Braze's id of the event, which stays the same however often the event is sent."
_TIME = "When the event happened, in seconds since the epoch."
_MARK = "Only there if the event is not live, or not whole."
_MODE = "How it came to be sent. Not there if it is live."
_CHECK = (
    "Only there if the event was too large for EventBridge. It then has no properties, and only short values in "
    "`user`; the whole envelope is an object in S3."
)
_CHECK_MEMBERS: dict[str, Schema] = {
    "bucket": {**_TEXT, "description": "The bucket of the object."},
    "key": {**_TEXT, "description": "The key of the object."},
    "bytes": {**_INTEGER, "description": "The size of the object."},
    "sha256": {**_TEXT, "description": "The SHA-256 of the object, in hexadecimal digits."},
}


def stored_types() -> list[str]:
    """The names of the event types that have a schema: those that Braze writes to files, in the order of their names.

    Source: https://www.braze.com/docs/user_guide/data/distribution/braze_currents/event_glossary
    """
    return sorted(name for name, event_type in catalog().items() if event_type.stored)


def exported_types(connector: Connector) -> list[str]:
    """Those of the ``stored_types`` that a connector exports, in their order."""
    return [each for each in stored_types() if connector.event_types.wants(each)]


def event_schema(event_type: str, source: str) -> Schema:
    """The schema of the EventBridge events of one type, which ``stored_types`` has; raises KeyError for any other.

    ``source`` is the `source` of the events, for tools that make rules from a schema; the schema holds for any other
    as well, and has the same version.
    """
    schema = _schema(catalog()[event_type])
    return {**schema, VERSION: schema_version(event_type), "x-amazon-events-source": source}


def schema_text(schema: Schema) -> str:
    """A schema as the text that is published and kept in `docs/schemas/`: the same for the same content."""
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


@cache
def schema_version(event_type: str) -> str:
    """The version of the schema of a type that ``stored_types`` has; raises KeyError for any other.

    It is a hash of the content, so it is the same in every installation, and changes when the schema does.
    """
    content = json.dumps(_schema(catalog()[event_type]), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:_VERSION_LENGTH]


def _schema(event_type: EventType) -> Schema:
    if not event_type.stored:
        raise KeyError(event_type.name)
    name = "".join(word[0].upper() + word[1:] for word in event_type.name.split("."))
    return {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "title": f"{name}Event",
        "description": f"{event_type.name} of Braze Currents, as it arrives from Amazon EventBridge.",
        **_of_the_event(event_type.name, _reference(name)),
        "x-amazon-events-detail-type": event_type.name,
        "definitions": {
            name: _envelope(event_type.name, name),
            f"{name}User": _part(event_type, "user"),
            f"{name}Properties": _part(event_type, "properties"),
            "CurrentsExport": _mark(),
        },
    }


def _of_the_event(event_type: str, detail: Schema) -> Schema:
    """What EventBridge puts around the envelope.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
    """
    members = {
        "version": _TEXT,
        "id": {**_TEXT, "description": "EventBridge's own id, which is another one each time."},
        "detail-type": {**_TEXT, "enum": [event_type]},
        "source": _TEXT,
        "account": _TEXT,
        "time": {**_TEXT, "format": "date-time", "description": "When the event happened."},
        "region": _TEXT,
        "resources": {"type": "array", "items": _TEXT, "description": "The ARN of the S3 object that it came from."},
        "detail": detail,
    }
    return {"type": "object", "properties": members, "required": sorted(members)}


def _envelope(event_type: str, name: str) -> Schema:
    members = {
        "event_type": {**_TEXT, "enum": [event_type]},
        "id": {**_TEXT, "minLength": 1, "description": _ID},
        "time": {**_INTEGER, "description": _TIME},
        "user": _reference(f"{name}User"),
        "properties": _reference(f"{name}Properties"),
    }
    mark = {"currents_export": _reference("CurrentsExport")}
    return {"type": "object", "properties": {**members, **mark}, "required": sorted(members)}


def _part(event_type: EventType, where: str) -> Schema:
    fields = [field for field in event_type.fields.values() if field.stored and field.where == where]
    members = {envelope_name(event_type.name, field.name): _field(event_type.name, field) for field in fields}
    # Said, though it is the default, so that code bindings keep fields that Braze adds.
    return {"type": "object", "properties": members, "additionalProperties": True}


def _field(event_type: str, field: Field) -> Schema:
    schema = dict(_TYPES[field.type])
    is_own = field.name == "properties" and event_type in SPLIT_INTO
    told = [_IS_OWN if is_own else _IS_JSON] if field.type == "json" else []
    # Custom properties are there only if the customer gave some, whatever the column says.
    told += [_NEVER_NULL] if not field.nullable and not is_own else []
    if field.personal:
        told.append(_PERSONAL)
        if "string" not in schema["type"]:
            # `catalog: true` redacts or hashes it. No format goes with both types.
            schema = {"type": [schema["type"], "string"]}
        schema["x-personal-data"] = True
    return {**schema, "description": " ".join(told)} if told else schema


def _mark() -> Schema:
    modes = sorted(mode for mode in get_args(Mode) if mode != "live")
    check = {
        "type": "object",
        "description": _CHECK,
        "properties": _CHECK_MEMBERS,
        "required": sorted(_CHECK_MEMBERS),
    }
    mode = {**_TEXT, "enum": modes, "description": _MODE}
    members = {"mode": mode, "claim_check": check}
    return {"type": "object", "description": _MARK, "properties": members, "minProperties": 1}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}
