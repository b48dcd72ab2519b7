"""Metrics of a connector, sent by Airflow's own stats to wherever those are set to go.

Named `currents.<connector>.<name>`: plain StatsD knows no tags.
"""

from __future__ import annotations

from airflow.sdk.observability import stats


def count(connector: str, **counts: int) -> None:
    """Adds to counters."""
    for name, value in counts.items():
        stats.incr(f"currents.{connector}.{name}", value)


def gauge(connector: str, **values: float) -> None:
    """Sets gauges."""
    for name, value in values.items():
        stats.gauge(f"currents.{connector}.{name}", value)
