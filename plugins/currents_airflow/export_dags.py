"""The DAG of a connector: the hourly export."""

from __future__ import annotations

from datetime import UTC, datetime, time

from airflow.sdk import DAG, CronPartitionTimetable

from currents_airflow import notices
from currents_airflow.assets import hours_of
from currents_airflow.deliver_tasks import deliver_between
from currents_airflow.operators.base import SHORT_TASK
from currents_airflow.operators.discover import CurrentsDiscoverOperator
from currents_airflow.operators.reconcile import CurrentsReconcileOperator
from currents_airflow.operators.retries import TASK_DEFAULTS
from currents_airflow.params import export_params
from currents_core.hour import HOUR_FORMAT
from currents_core.setup.settings import Connector

# Above the tasks of other DAGs that say nothing, until the cluster policy knows a task's run.
_LIVE_FIRST = 100
# Airflow makes no scheduled run while a DAG has so many others, whether these run or wait; those of backfills are no
# others. It has 16 by default, which somebody who triggers a day by hand has soon.
_MOST_RUNS = 100

_EXPORT_DOC = """
Exports the hourly Braze Currents files of the connector **{name}**:
`s3://{bucket}/{prefix}` → {kind} `{bus}` in {region}.

Each hour runs {delay} minutes after it ends, and its run also delivers whatever is still open of the previous
{lookback} hours: late files, and hours that had no run. To run hours by hand, press **Trigger**; for a long stretch of
time, choose **Backfill** there.
Running an hour again, or clearing any of its tasks, sends only what was not delivered.
The account of an hour is at `s3://{state_bucket}/{state_root}manifests/date=<hour>.json`.
"""
_DISCOVER_DOC = "Lists the files that are not delivered yet, and plans which task delivers which."
_DELIVER_DOC = "Sends the events of some files. Clearing it is safe: an interrupted file resumes where it left off."
_RECONCILE_DOC = "Writes the account of every hour that got files, and fails if anything is missing."


def export_dag(connector: Connector) -> DAG:
    """The hourly export of a connector."""
    settings = connector.schedule
    # The minute is the delay. The partition key is Braze's own name for the hour before.
    hourly = CronPartitionTimetable(
        f"{settings.delay_minutes} * * * *", timezone="UTC", run_offset=-1, key_format=HOUR_FORMAT
    )
    with DAG(
        dag_id=f"currents_export_{connector.name}",
        schedule=hourly,
        start_date=datetime.combine(settings.start, time(), UTC),
        catchup=settings.catchup,
        max_active_runs=_MOST_RUNS,
        params=export_params(),
        deadline=notices.deadlines(connector),
        doc_md=_doc(connector),
        on_failure_callback=notices.on_failure(connector),
        tags=["currents"],
        default_args={"priority_weight": _LIVE_FIRST, **TASK_DEFAULTS},
    ) as dag:
        _tasks(connector)
    return dag


def _tasks(connector: Connector) -> None:
    name = connector.name
    discover = CurrentsDiscoverOperator(
        task_id="discover", connector=name, doc_md=_DISCOVER_DOC, execution_timeout=SHORT_TASK
    )
    reconcile = CurrentsReconcileOperator(
        task_id="reconcile",
        connector=name,
        plans=discover.output,
        outlets=[hours_of(connector)],
        doc_md=_RECONCILE_DOC,
        execution_timeout=SHORT_TASK,
    )
    asks = connector.approval.is_on
    deliver_between(discover.output, reconcile, connector=name, asks=asks, doc_md=_DELIVER_DOC)


def _doc(connector: Connector) -> str:
    source, state, destination = connector.source, connector.state, connector.destination
    return _EXPORT_DOC.format(
        name=connector.name,
        bucket=source.bucket,
        prefix=source.prefix,
        kind=destination.kind.replace("_", " "),
        bus=connector.destination_name,
        region=destination.region,
        delay=connector.schedule.delay_minutes,
        lookback=connector.lookback_hours,
        state_bucket=state.bucket,
        state_root=connector.state_root,
    )
