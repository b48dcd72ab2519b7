"""Samples without personal data, for people who look at what is sent, or can't be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from currents_core.catalog import SPLIT_INTO, catalog
from currents_core.entry import Entry
from currents_core.shaping.personal_data import REDACTED


def masked(entry: Entry) -> dict[str, Any]:
    """The envelope of an entry without personal data.

    Redacted are the fields that Braze marks as personal data or does not document, everything in `user`, and custom
    properties.
    """
    envelope: dict[str, Any] = orjson.loads(entry.detail)
    for place in ("user", "properties"):
        for name in envelope.get(place, {}):
            if place == "user" or name in SPLIT_INTO.values() or not _is_harmless(entry.detail_type, name):
                envelope[place][name] = REDACTED
    return envelope


def masked_record(event_type: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a dead letter without personal data, by the same rule; what is null stays null."""
    return {
        name: value if value is None or (name not in _TEXTS and _is_harmless(event_type, name)) else REDACTED
        for name, value in record.items()
    }


# Texts in which customers put what they like.
_TEXTS = {"properties", "custom_attributes"}


def _is_harmless(event_type: str, name: str) -> bool:
    documented = catalog().get(event_type)
    field = documented.fields.get(name) if documented else None
    return field is not None and not field.personal
