"""The DAG that sends dead letters again: select → deliver → conclude."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from airflow.sdk import DAG

from currents_airflow.operators.base import SHORT_TASK
from currents_airflow.operators.deliver import CurrentsToEventBridgeOperator
from currents_airflow.operators.redrive import CurrentsConcludeRedriveOperator, CurrentsSelectLettersOperator
from currents_airflow.operators.retries import TASK_DEFAULTS
from currents_airflow.params import redrive_params
from currents_airflow.policy import POOL, REDRIVE_DAG

_CONNECTOR = "{{ params.connector }}"
_DOC = """
Sends **dead letters** again: rows that could not be sent. Fix the cause first, then press **Trigger** and choose the
connector and the hours. Letters that are accepted leave the dead letters; the others stay, with the attempt recorded.
A cleared task resumes where it left off. To try the remaining letters again, trigger a new run.
"""
_SELECT_DOC = "Chooses the dead letters, and plans which task sends which."
_DELIVER_DOC = "Reads the rows of dead letters again and sends them. Clearing it is safe: it resumes where it left off."
_CONCLUDE_DOC = "Tells what became of the letters, and rewrites the manifests of their hours."


def redrive_dag(connectors: Sequence[str]) -> DAG:
    """The redrive of the connectors with these names."""
    with DAG(
        dag_id=REDRIVE_DAG,
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        doc_md=_DOC,
        tags=["currents"],
        params=redrive_params(connectors),
        default_args={"kind": "redrive", **TASK_DEFAULTS},
    ) as dag:
        select = CurrentsSelectLettersOperator(
            task_id="select", connector=_CONNECTOR, doc_md=_SELECT_DOC, execution_timeout=SHORT_TASK
        )
        deliver = CurrentsToEventBridgeOperator.partial(
            task_id="deliver",
            connector=_CONNECTOR,
            # The cluster policy has another for all tasks of its runs.
            pool=POOL,
            map_index_template="{{ task.shard['label'] }}",
            doc_md=_DELIVER_DOC,
        ).expand(shard=select.output)
        conclude = CurrentsConcludeRedriveOperator(
            task_id="conclude",
            connector=_CONNECTOR,
            plans=select.output,
            doc_md=_CONCLUDE_DOC,
            execution_timeout=SHORT_TASK,
        )
        deliver >> conclude.as_teardown(on_failure_fail_dagrun=True)
    return dag
