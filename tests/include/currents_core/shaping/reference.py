"""The envelope, written row by row in the most obvious way: what the column-wise encoder is held against."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

USER = ("user_id", "external_user_id", "device_id", "timezone")
SPLIT = {
    "users.behaviors.CustomEvent": "custom_properties",
    "users.behaviors.Purchase": "purchase_properties",
}


def envelope(event_type: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """The envelope of one row of plain Python values."""
    user = {name: row[name] for name in USER if row.get(name) is not None}
    properties: dict[str, Any] = {}
    for name, value in row.items():
        if name in ("id", "time", "event_type", *USER) or value is None:
            continue
        if isinstance(value, float) and not math.isfinite(value):
            continue
        if name == "properties" and event_type in SPLIT:
            if value != "":
                properties[SPLIT[event_type]] = own_json(value) if isinstance(value, str) else value
        else:
            properties[name] = value
    return {"event_type": event_type, "id": row["id"], "time": row["time"], "user": user, "properties": properties}


def own_json(text: str) -> Any:
    """The object in the text, or the text itself where it holds none."""
    try:
        value = json.loads(text, parse_constant=refuse)
    except ValueError:
        return text
    return value if isinstance(value, dict) else text


def refuse(constant: str) -> Any:
    """NaN and Infinity, which Python's parser takes, are no JSON."""
    raise ValueError(constant)
