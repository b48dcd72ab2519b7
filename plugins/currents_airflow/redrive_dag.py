"""The DAGs that send dead letters again: select → deliver → conclude."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from airflow.sdk import DAG, CronPartitionTimetable

from currents_airflow import notices
from currents_airflow.deliver_tasks import deliver_between
from currents_airflow.operators.base import SHORT_TASK
from currents_airflow.operators.redrive import CurrentsConcludeRedriveOperator, CurrentsSelectLettersOperator
from currents_airflow.operators.retries import TASK_DEFAULTS
from currents_airflow.params import redrive_params
from currents_airflow.policy import REDRIVE_DAG
from currents_core.hour import HOUR_FORMAT
from currents_core.setup.settings import Connector

_START = datetime(2026, 1, 1, tzinfo=UTC)
_AFTER_MINUTES = 30
_DOC = """
Sends **dead letters** again: rows that could not be sent. Fix the cause first, then press **Trigger** and choose the
connector and the hours. Letters that are accepted leave the dead letters; the others stay, with the attempt recorded.
A cleared task resumes where it left off. To try the remaining letters again, trigger a new run.
"""
_AUTOMATIC_DOC = """
Sends dead letters of **{name}** again whose code says that they may pass by themselves, as the connector's
`automatic_redrive` chooses: those of the last hours, and each of them a few times.
"""
_SELECT_DOC = "Chooses the dead letters, and plans which task sends which."
_DELIVER_DOC = "Reads the rows of dead letters again and sends them. Clearing it is safe: it resumes where it left off."
_CONCLUDE_DOC = "Tells what became of the letters, and rewrites the manifests of their hours."


def redrive_dag(connectors: Sequence[str], *, asks: bool) -> DAG:
    """The redrive of the connectors with these names; ``asks`` if one of them wants a person to approve."""
    with DAG(
        dag_id=REDRIVE_DAG,
        schedule=None,
        start_date=_START,
        doc_md=_DOC,
        tags=["currents"],
        params=redrive_params(connectors),
        default_args={"kind": "redrive", **TASK_DEFAULTS},
    ) as dag:
        _tasks("{{ params.connector }}", asks=asks)
    return dag


def automatic_redrive_dag(connector: Connector) -> DAG:
    """The hourly redrive of a connector that has `automatic_redrive`."""
    # Well after its hour was exported, and no run of it beside another.
    minute = (connector.schedule.delay_minutes + _AFTER_MINUTES) % 60
    hourly = CronPartitionTimetable(f"{minute} * * * *", timezone="UTC", run_offset=-1, key_format=HOUR_FORMAT)
    with DAG(
        dag_id=f"{REDRIVE_DAG}_{connector.name}",
        schedule=hourly,
        start_date=_START,
        catchup=False,
        max_active_runs=1,
        doc_md=_AUTOMATIC_DOC.format(name=connector.name),
        on_failure_callback=notices.on_failure(connector),
        tags=["currents"],
        default_args={"kind": "automatic redrive", **TASK_DEFAULTS},
    ) as dag:
        _tasks(connector.name, asks=False)
    return dag


def _tasks(connector: str, *, asks: bool) -> None:
    select = CurrentsSelectLettersOperator(
        task_id="select", connector=connector, doc_md=_SELECT_DOC, execution_timeout=SHORT_TASK
    )
    conclude = CurrentsConcludeRedriveOperator(
        task_id="conclude",
        connector=connector,
        plans=select.output,
        doc_md=_CONCLUDE_DOC,
        execution_timeout=SHORT_TASK,
    )
    deliver_between(select.output, conclude, connector=connector, asks=asks, doc_md=_DELIVER_DOC)
