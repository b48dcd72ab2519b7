"""Marks the events of backfills and replays, so that rules can tell them from live ones."""

from __future__ import annotations

from currents_core.mode import Mode


def mark(mode: Mode) -> str:
    """The last member of an envelope, with a comma before it: `"currents_export":{"mode":…}`; empty for live ones.

    A rule matches the marked events with `{"detail": {"currents_export": {"mode": ["backfill"]}}}`, and live ones with
    `[{"exists": false}]` in the same place.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
    """
    return "" if mode == "live" else f',"currents_export":{{"mode":"{mode}"}}'
