"""Airflow's connections, told apart from those that only seem to be missing.

While its database is away, Airflow says of every connection that there is none, and the hooks of the Amazon provider
then take the machine's own credentials.
"""

from __future__ import annotations

from airflow.sdk import Connection, get_current_context
from airflow.sdk.exceptions import AirflowNotFoundException


def find_connection(conn_id: str) -> Connection | None:
    """The Airflow connection; None if there certainly is none.

    Raises what Airflow raises if its database stays away, and then the task is tried again.
    """
    found = _asked(conn_id)
    if not found:
        _wait_for_database()
        found = _asked(conn_id)
    return found


def _asked(conn_id: str) -> Connection | None:
    try:
        return Connection.get(conn_id)
    except AirflowNotFoundException:
        return None


def _wait_for_database() -> None:
    """Asks something that only the database can answer, and that Airflow asks again until it does."""
    try:
        task = get_current_context()["ti"]
    except RuntimeError:
        # No task runs: there is nobody to ask.
        return
    task.get_dr_count(dag_id=task.dag_id, run_ids=[task.run_id])
