"""The operators in a DAG of your own: an hour is exported only when the consumer says that it is ready."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import CronDataIntervalTimetable, dag, task

from currents_airflow.operators.deliver import CurrentsToEventBridgeOperator
from currents_airflow.operators.discover import CurrentsDiscoverOperator
from currents_airflow.operators.reconcile import CurrentsReconcileOperator

CONNECTOR = "test"


@dag(
    # Exports the hour at the start of the data interval. A trigger form with a field `hour` works as well.
    schedule=CronDataIntervalTimetable("30 * * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
)
def export_when_ready() -> None:
    """Each hour, half an hour after it ended."""

    @task
    def wait_for_consumer() -> None:
        """Put your own check here; as long as it fails, nothing is sent."""

    discover = CurrentsDiscoverOperator(task_id="discover", connector=CONNECTOR)
    deliver = CurrentsToEventBridgeOperator.partial(
        task_id="deliver",
        connector=CONNECTOR,
        # Each of its slots is worth a part of the connector's budget.
        pool="currents",
        map_index_template="{{ task.shard['label'] }}",
    ).expand(shard=discover.output)
    reconcile = CurrentsReconcileOperator(task_id="reconcile", connector=CONNECTOR, plans=discover.output).as_teardown(
        on_failure_fail_dagrun=True
    )
    wait_for_consumer() >> discover >> deliver >> reconcile


export_when_ready()
