"""The rules of the published Currents envelope: where each field goes, and under which name.

Source: https://www.braze.com/docs/partners/data_and_analytics/data_warehouses/amazon_eventbridge and
https://www.braze.com/docs/user_guide/data/distribution/braze_currents/event_glossary
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

# The fields of `user`. `id` and `time` are at the top level; everything else goes into `properties`.
USER_FIELDS = ("user_id", "external_user_id", "device_id", "timezone")


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
