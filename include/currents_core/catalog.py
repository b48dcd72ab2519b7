"""What Braze documents about each Currents event type. It informs samples, drift and personal data; it never gates.

Source: https://www.braze.com/docs/user_guide/data/distribution/braze_currents/event_glossary and, for names in the
envelope, https://www.braze.com/docs/partners/data_and_analytics/data_warehouses/amazon_eventbridge
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

# Event types whose `properties` column is the customer's own JSON, and its name in the envelope.
SPLIT_INTO = {
    "users.behaviors.CustomEvent": "custom_properties",
    "users.behaviors.Purchase": "purchase_properties",
}

# Storage name → envelope name, for the event types whose storage files and envelopes use different names.
_BANNER = {"canvas_step_message_variation_id": "canvas_step_message_variation_api_id"}
RENAMED = {f"users.messages.banner.{action}": _BANNER for action in ("Abort", "Click", "Dismiss", "Impression")}


@dataclass(frozen=True, slots=True)
class Field:
    """One documented field of one event type.

    ``type`` is one of string, int, long, float, boolean, json or array<string>. ``where`` is the field's place in the
    envelope: top, user or properties. ``stored`` fields are in storage files, ``published`` ones in the envelope.
    ``personal`` marks personal data.
    """

    name: str
    type: str
    nullable: bool
    where: str
    personal: bool
    stored: bool
    published: bool


@dataclass(frozen=True, slots=True)
class EventType:
    """One documented event type and its fields by name. Braze never writes the few that are not ``stored`` to files."""

    name: str
    stored: bool
    fields: Mapping[str, Field]


@cache
def catalog() -> Mapping[str, EventType]:
    """Every documented event type, by name. Read once per process.

    Source: https://www.braze.com/docs/user_guide/data/distribution/braze_currents/event_glossary
    """
    raw = json.loads(resources.files(__package__).joinpath("catalog.json").read_text("utf-8"))
    return MappingProxyType({name: _event_type(name, entry) for name, entry in raw.items()})


def envelope_name(event_type: str, column: str) -> str:
    """The name that a column of a storage file has in the envelope."""
    if column == "properties":
        return SPLIT_INTO.get(event_type, column)
    return RENAMED.get(event_type, {}).get(column, column)


@cache
def documented_fields(event_types: frozenset[str] | None = None) -> frozenset[str]:
    """The names of all fields that some event types have, in files or in events; by default, all types."""
    types = catalog().values() if event_types is None else (catalog()[each] for each in event_types)
    return frozenset(name for each in types for name in each.fields)


def _event_type(name: str, entry: Mapping[str, object]) -> EventType:
    fields = entry["fields"]
    assert isinstance(fields, list)
    return EventType(
        name=name,
        stored=bool(entry["storage"]),
        fields=MappingProxyType({field["name"]: _field(field) for field in fields}),
    )


def _field(raw: Mapping[str, object]) -> Field:
    carriers = raw["in"]
    assert isinstance(carriers, list)
    return Field(
        name=str(raw["name"]),
        type=str(raw["type"]),
        nullable=bool(raw["nullable"]),
        where=str(raw["where"]),
        personal=bool(raw["pii"]),
        stored="avro" in carriers,
        published="http" in carriers,
    )
