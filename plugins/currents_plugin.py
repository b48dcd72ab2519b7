"""Makes the plugin known where this folder is Airflow's plugins folder."""

from __future__ import annotations

from importlib.metadata import distributions

# The wheel makes it known by an entry point, and to Airflow a second plugin of the same name is an error.
if not any(distributions(name="currents-export")):
    from currents_airflow.plugin import CurrentsPlugin  # noqa: F401 - Airflow looks for it here
