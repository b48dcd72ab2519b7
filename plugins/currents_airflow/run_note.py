"""Notes on runs that are no scheduled ones what they do, since neither their id nor the grid shows their hours.

A listener of the scheduler, which tells it of each run that starts.
"""

from __future__ import annotations

from typing import Any

from airflow.listeners import hookimpl

from currents_airflow.pool import delivers
from currents_core.errors import SetupError, shown
from currents_core.hour import resolve_hour
from currents_core.setup.run_request import form_request

# What Airflow stores of a note.
_NOTE_LENGTH = 1_000


@hookimpl
def on_dag_run_running(dag_run: Any, msg: str) -> None:  # noqa: ARG001 - the names are Airflow's
    """Gives a run its note, unless it has one."""
    if dag_run.run_type in ("manual", "backfill") and not dag_run.note and delivers(dag_run):
        dag_run.note = shown(describe(dag_run), _NOTE_LENGTH)


def describe(dag_run: Any) -> str:
    """What a run is asked to do, or why it is refused."""
    fields = {**dag_run.dag.params, **(dag_run.conf or {})}
    try:
        hour = resolve_hour(dag_run.partition_key, fields.get("hour"), dag_run.data_interval_start)
        told = form_request(fields, hour, is_backfill=dag_run.run_type == "backfill").summary
    except SetupError as error:
        return f"refused: {error}"
    if connector := fields.get("connector"):
        return f"dead letters of {connector}: {told}"
    return f"backfill: {told}" if dag_run.run_type == "backfill" else told
