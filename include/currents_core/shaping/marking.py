"""Marks events that are not as live ones are, so that rules can tell them: sent late, again, in part, or as a test."""

from __future__ import annotations

import pyarrow as pa

from currents_core.mode import Mode
from currents_core.shaping.json_text import Parts


def mark(mode: Mode, checks: pa.Array | None = None) -> Parts:
    """The last member of each envelope, with a comma before it, in parts; empty for live events that are whole.

    It is `"currents_export":{"mode":…,"claim_check":{…}}`: the mode unless that is live, and what ``checks`` has, if it
    is given: of each event the JSON text of its claim check, as large_string without nulls. A rule matches the events
    of backfills with `{"detail": {"currents_export": {"mode": ["backfill"]}}}`, claim checks with
    `{"detail": {"currents_export": {"claim_check": {"key": [{"exists": true}]}}}}`, and all others with `false` there.
    EventBridge looks for what exists only at the leaves of an event.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
    """
    told: list[Parts] = []
    if mode != "live":
        told.append([f'"mode":"{mode}"'])
    if checks is not None:
        told.append(['"claim_check":', checks])
    if not told:
        return []
    first, *others = told
    return [',"currents_export":{', *first, *(part for other in others for part in (",", *other)), "}"]
