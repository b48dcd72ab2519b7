"""The Airflow plugin: what the scheduler needs of this project."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from currents_airflow import pool
from currents_airflow.deadline import HourEnd


class CurrentsPlugin(AirflowPlugin):
    """Currents Export."""

    name = "currents"
    listeners = [pool]  # noqa: RUF012 - as Airflow declares it
    deadline_references = [HourEnd]  # noqa: RUF012
