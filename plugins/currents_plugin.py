"""What Airflow's plugin manager runs: it makes `currents_airflow` known as a plugin. Nothing heavy loads here."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin


class CurrentsPlugin(AirflowPlugin):
    """Currents Export."""

    name = "currents"
