"""The rules of the published Currents envelope: which field stands where, and under which name.

Source: https://www.braze.com/docs/partners/data_and_analytics/data_warehouses/amazon_eventbridge and
https://www.braze.com/docs/user_guide/data/distribution/braze_currents/event_glossary
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

# The fields of `user`; `id` and `time` are at the top, everything else is in `properties`.
USER_FIELDS = ("user_id", "external_user_id", "device_id", "timezone")

# Event types whose `properties` column is the customer's own JSON, and its name in the envelope.
SPLIT_INTO = {
    "users.behaviors.CustomEvent": "custom_properties",
    "users.behaviors.Purchase": "purchase_properties",
}

# Storage name → envelope name, for the event types where Braze's two forms differ.
_BANNER = {"canvas_step_message_variation_id": "canvas_step_message_variation_api_id"}
RENAMED = {f"users.messages.banner.{action}": _BANNER for action in ("Abort", "Click", "Dismiss", "Impression")}


@dataclass(frozen=True, slots=True)
class Events:
    """Rows of one event type, ready to encode.

    ``frame`` has one row per event, indexed by its row number in the file (int64), and Arrow-backed columns: `id`
    (string), `time` (int64, seconds since the epoch), and one per field, under its name in the envelope. The text of
    the ``json_columns`` is JSON already.
    """

    event_type: str
    frame: pd.DataFrame
    json_columns: frozenset[str]


def envelope_name(event_type: str, column: str) -> str:
    """The name in the envelope of a column of a storage file."""
    if column == "properties":
        return SPLIT_INTO.get(event_type, column)
    return RENAMED.get(event_type, {}).get(column, column)
