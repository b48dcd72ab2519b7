"""One hourly export DAG per valid connector: discover → deliver, mapped over shards → reconcile."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronPartitionTimetable, Param

from currents_airflow.operators.deliver import CurrentsToEventBridgeOperator
from currents_airflow.operators.discover import CurrentsDiscoverOperator
from currents_airflow.operators.reconcile import CurrentsReconcileOperator
from include.currents.connectors_file import load_connectors
from include.currents.hour import HOUR_FORMAT, HOUR_PATTERN
from include.currents.settings import POOL, Connector

log = logging.getLogger(__name__)

_DOC = """
Exports one hour of Braze Currents files of the connector **{name}**:
`s3://{bucket}/{prefix}` → event bus `{bus}` in {region}.

An hour runs 20 minutes after it ended. To run one by hand, trigger the DAG and give the **hour** as `YYYY-MM-DD-HH`
(UTC).
Running an hour again, or clearing any of its tasks, sends only what was not delivered.
The account of an hour is at `s3://{state_bucket}/{state_prefix}{name}/manifests/date=<hour>.json`.
"""

_HOUR = Param(
    None,
    type=["null", "string"],
    pattern=HOUR_PATTERN,
    title="Hour",
    description="The hour to export, as YYYY-MM-DD-HH in UTC. Scheduled runs have theirs already.",
)


def export_dag(connector: Connector) -> DAG:
    """The export DAG of a connector."""
    # The minute is the settling delay. The partition key is Braze's own name for the hour before.
    hourly = CronPartitionTimetable("20 * * * *", timezone="UTC", run_offset=-1, key_format=HOUR_FORMAT)
    with DAG(
        dag_id=f"currents_export_{connector.name}",
        schedule=hourly,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        # A second run would only wait for the late files that the first has.
        max_active_runs=1,
        params={"hour": _HOUR},
        doc_md=_doc(connector),
        tags=["currents"],
        default_args={"retries": 2, "retry_delay": timedelta(seconds=30), "retry_exponential_backoff": True},
    ) as dag:
        discover = CurrentsDiscoverOperator(task_id="discover", connector=connector.name)
        deliver = CurrentsToEventBridgeOperator.partial(
            task_id="deliver",
            connector=connector.name,
            # The pool shares the budget out: each of its slots is worth a part.
            pool=POOL,
            map_index_template="{{ task.shard['label'] }}",
        ).expand(shard=discover.output)
        reconcile = CurrentsReconcileOperator(task_id="reconcile", connector=connector.name, shards=discover.output)
        # A teardown always runs. Its failure counts for the run, and it fails where `discover` or `deliver` did.
        discover >> deliver >> reconcile.as_teardown(on_failure_fail_dagrun=True)
    return dag


def _doc(connector: Connector) -> str:
    source, state, destination = connector.source, connector.state, connector.destination
    return _DOC.format(
        name=connector.name,
        bucket=source.bucket,
        prefix=source.prefix,
        bus=destination.name,
        region=destination.region,
        state_bucket=state.bucket,
        state_prefix=state.prefix,
    )


connectors = load_connectors()
if connectors.faults:
    # currents_connectors.py raises these, so that they show in the UI and the valid connectors still run.
    log.warning(connectors.report())
for each in connectors.valid.values():
    globals()[f"currents_export_{each.name}"] = export_dag(each)
