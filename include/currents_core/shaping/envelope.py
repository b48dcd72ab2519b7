"""The rules of the published Currents envelope: where each field goes, and under which name.

Source: https://www.braze.com/docs/partners/data_and_analytics/data_warehouses/amazon_eventbridge and
https://www.braze.com/docs/user_guide/data/distribution/braze_currents/event_glossary
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

# The fields of `user`. `id` and `time` are at the top level; everything else goes into `properties`.
USER_FIELDS = ("user_id", "external_user_id", "device_id", "timezone")

# Event types whose `properties` column is the customer's own JSON, and its name in the envelope.
SPLIT_INTO = {
    "users.behaviors.CustomEvent": "custom_properties",
    "users.behaviors.Purchase": "purchase_properties",
}

# Storage name → envelope name, for the event types whose storage files and envelopes use different names.
_BANNER = {"canvas_step_message_variation_id": "canvas_step_message_variation_api_id"}
RENAMED = {f"users.messages.banner.{action}": _BANNER for action in ("Abort", "Click", "Dismiss", "Impression")}


@dataclass(frozen=True, slots=True)
class Events:
    """Rows of one event type, ready to encode.

    ``frame`` has one row per event. Its index is the row number in the file (int64). All dtypes are ArrowDtype: `id`
    is string without nulls; `time` is int64, in seconds since the epoch, without nulls; and each other column is one
    field, named as in the envelope, of the type that the file gave it, except that bytes are text. The columns named in
    ``json_columns`` contain JSON texts, which go into the envelope as they are.
    """

    event_type: str
    frame: pd.DataFrame
    json_columns: frozenset[str]


def envelope_name(event_type: str, column: str) -> str:
    """The name that a column of a storage file has in the envelope."""
    if column == "properties":
        return SPLIT_INTO.get(event_type, column)
    return RENAMED.get(event_type, {}).get(column, column)
