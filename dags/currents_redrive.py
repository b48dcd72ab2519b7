"""Sends dead letters again: select → deliver → settle."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from currents_airflow.connectors import all_connectors
from currents_airflow.operators.base import TASK_DEFAULTS
from currents_airflow.operators.deliver import CurrentsToEventBridgeOperator
from currents_airflow.operators.redrive import CurrentsSelectLettersOperator, CurrentsSettleLettersOperator
from currents_airflow.params import redrive_params
from currents_core.setup.settings import POOL

_CONNECTOR = "{{ params.connector }}"
_DOC = """
Sends **dead letters** again: rows that could not go. Correct first what kept them, then press **Trigger**, and choose
the connector and the hours. What goes through leaves the dead letters; what does not stays, with the try added.
Clearing a task goes on where it stopped. To try letters again that stayed, trigger a new run.
"""
_SELECT_DOC = "Chooses the dead letters, and plans who sends them."
_DELIVER_DOC = "Reads the rows of dead letters again and sends them. Clearing it is safe: it goes on where it stopped."
_SETTLE_DOC = "Takes what went through out of the dead letters, and writes the manifests of their hours anew."


def redrive_dag(connectors: list[str]) -> DAG:
    """The redrive of the connectors with these names."""
    with DAG(
        dag_id="currents_redrive",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        # Two at once could send the same letters.
        max_active_runs=1,
        doc_md=_DOC,
        tags=["currents"],
        params=redrive_params(connectors),
        default_args={"kind": "redrive", **TASK_DEFAULTS},
    ) as dag:
        select = CurrentsSelectLettersOperator(task_id="select", connector=_CONNECTOR, doc_md=_SELECT_DOC)
        deliver = CurrentsToEventBridgeOperator.partial(
            task_id="deliver",
            connector=_CONNECTOR,
            pool=POOL,
            map_index_template="{{ task.shard['label'] }}",
            doc_md=_DELIVER_DOC,
        ).expand(shard=select.output)
        settle = CurrentsSettleLettersOperator(
            task_id="settle", connector=_CONNECTOR, plans={"deliver": select.output}, doc_md=_SETTLE_DOC
        )
        deliver >> settle.as_teardown(on_failure_fail_dagrun=True)
    return dag


if names := list(all_connectors().valid):
    currents_redrive = redrive_dag(names)
