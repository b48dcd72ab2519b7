"""The asset that downstream DAGs wait for."""

from __future__ import annotations

from airflow.sdk import Asset

from currents_core.setup.settings import Connector


def hours_of(connector: Connector) -> Asset:
    """The delivered hours of a connector; the partition of its events is the hour."""
    # No URI: for any scheme, Airflow loads the handlers of all providers, and so boto3, whenever the DAGs are parsed.
    return Asset(f"currents_{connector.name}")
