"""The DAGs of a connector: the hourly export, and the daily sweep for late files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, CronPartitionTimetable, CronTriggerTimetable, TriggerRule

from currents_airflow import notices
from currents_airflow.assets import hours_of
from currents_airflow.operators.base import SHORT_TASK, TASK_DEFAULTS
from currents_airflow.operators.deliver import CurrentsToEventBridgeOperator
from currents_airflow.operators.discover import CurrentsDiscoverOperator
from currents_airflow.operators.reconcile import CurrentsReconcileOperator
from currents_airflow.params import export_params
from currents_core.hour import HOUR_FORMAT
from currents_core.setup.settings import POOL, Connector

if TYPE_CHECKING:
    from airflow.sdk.definitions.mappedoperator import MappedOperator

_EXPORT_DOC = """
Exports the hourly Braze Currents files of the connector **{name}**:
`s3://{bucket}/{prefix}` → event bus `{bus}` in {region}.

Each hour runs {delay} minutes after it ends, and its run also picks up late files of the previous {lookback} hours. To
run hours by hand, press **Trigger**; for a long stretch of time, choose **Backfill** there.
Running an hour again, or clearing any of its tasks, sends only what was not delivered.
The account of an hour is at `s3://{state_bucket}/{state_prefix}{name}/manifests/date=<hour>.json`.
"""
_SWEEP_DOC = """
Looks once a day through the last {sweep} hours of the connector **{name}** for files that arrived too late for any
hourly run, and delivers them.
"""
_DISCOVER_DOC = "Lists the files that are not delivered yet, and plans which task delivers which."
_DELIVER_DOC = "Sends the events of some files. Clearing it is safe: an interrupted file resumes where it left off."
_RECONCILE_DOC = "Writes the account of every hour that got files, and fails if anything is missing."

# Live hours get the next free slot of the pool.
_LIVE_FIRST = 100


def export_dag(connector: Connector) -> DAG:
    """The hourly export of a connector."""
    settings = connector.schedule
    # The minute is the delay. The partition key is Braze's own name for the hour before.
    hourly = CronPartitionTimetable(
        f"{settings.delay_minutes} * * * *", timezone="UTC", run_offset=-1, key_format=HOUR_FORMAT
    )
    with _dag(
        "export",
        connector,
        hourly,
        _EXPORT_DOC,
        params=export_params(),
        catchup=settings.catchup,
        deadline=notices.deadlines(connector),
    ) as dag:
        live = _discover("discover", priority_weight=_LIVE_FIRST, skip_backfills=True)
        # Runs only where the live one was skipped; the scheduler itself skips it otherwise.
        backfill = _discover("discover_backfill", trigger_rule=TriggerRule.ALL_SKIPPED)
        live >> backfill
        deliver = {
            _deliver("deliver", live, priority_weight=_LIVE_FIRST): live.output,
            # The rest of the pool stays free for the live hour.
            _deliver(
                "deliver_backfill",
                backfill,
                max_active_tis_per_dag=min(connector.budget.backfill_slots, connector.budget.slots),
            ): backfill.output,
        }
        _reconcile(connector, deliver)
    return dag


def sweep_dag(connector: Connector) -> DAG:
    """The daily sweep of a connector."""
    daily = CronTriggerTimetable("40 1 * * *", timezone="UTC")
    with _dag("sweep", connector, daily, _SWEEP_DOC, catchup=False) as dag:
        discover = _discover("discover")
        _reconcile(connector, {_deliver("deliver", discover): discover.output})
    return dag


def _dag(kind: str, connector: Connector, schedule: Any, doc: str, **options: Any) -> DAG:
    return DAG(
        dag_id=f"currents_{kind}_{connector.name}",
        schedule=schedule,
        start_date=datetime.combine(connector.schedule.start, time(), UTC),
        # A second run would only wait for the late files that the first has.
        max_active_runs=1,
        doc_md=_doc(doc, connector),
        on_failure_callback=notices.on_failure(connector),
        tags=["currents"],
        default_args={
            "connector": connector.name,
            "kind": kind,
            **TASK_DEFAULTS,
        },
        **options,
    )


def _discover(name: str, **options: Any) -> CurrentsDiscoverOperator:
    return CurrentsDiscoverOperator(task_id=name, doc_md=_DISCOVER_DOC, execution_timeout=SHORT_TASK, **options)


def _deliver(name: str, discover: CurrentsDiscoverOperator, **options: Any) -> MappedOperator:
    return CurrentsToEventBridgeOperator.partial(
        task_id=name,
        # The pool shares the budget out: each of its slots is worth a part.
        pool=POOL,
        map_index_template="{{ task.shard['label'] }}",
        doc_md=_DELIVER_DOC,
        **options,
    ).expand(shard=discover.output)


def _reconcile(connector: Connector, deliver: Mapping[MappedOperator, Any]) -> None:
    """The task that accounts for a run; ``deliver`` has the plans that tasks are mapped over."""
    plans = {task.task_id: plans for task, plans in deliver.items()}
    reconcile = CurrentsReconcileOperator(
        task_id="reconcile",
        plans=plans,
        outlets=[hours_of(connector)],
        doc_md=_RECONCILE_DOC,
        execution_timeout=SHORT_TASK,
        priority_weight=_LIVE_FIRST,
    )
    # A teardown always runs. Its failure counts for the run, and it fails where the tasks before it did.
    list(deliver) >> reconcile.as_teardown(on_failure_fail_dagrun=True)


def _doc(text: str, connector: Connector) -> str:
    source, state, destination = connector.source, connector.state, connector.destination
    return text.format(
        name=connector.name,
        bucket=source.bucket,
        prefix=source.prefix,
        bus=destination.name,
        region=destination.region,
        delay=connector.schedule.delay_minutes,
        lookback=connector.lookback_hours,
        sweep=connector.schedule.sweep_hours,
        state_bucket=state.bucket,
        state_prefix=state.prefix,
    )
