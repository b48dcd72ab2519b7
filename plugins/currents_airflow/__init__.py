"""Airflow's side of Currents Export: the DAGs, their operators, and the plugin."""

from airflow import __version__ as _airflow

if tuple(map(int, _airflow.split(".")[:2])) < (3, 3):
    raise ImportError(f"Currents Export needs Airflow 3.3 or newer, found {_airflow}")
