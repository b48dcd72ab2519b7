"""What Airflow's plugin manager runs: it makes `currents_airflow` known as a plugin. Nothing heavy loads here."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from currents_airflow import pool
from currents_airflow.deadline import HourEnd


class CurrentsPlugin(AirflowPlugin):
    """Currents Export."""

    name = "currents"
    listeners = [pool]  # noqa: RUF012 - as Airflow declares it
    deadline_references = [HourEnd]  # noqa: RUF012
