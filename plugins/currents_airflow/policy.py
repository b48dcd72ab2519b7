"""A cluster policy: the live hour goes first, and what is over has a pool of its own, in the order of its hours.

In Airflow a pool and a priority belong to a task, not to a run, and Airflow sorts tasks of one priority by a logical
date that runs of partitions lack. So the priority says it all: whatever waits for a slot, of any run and any try, has
the place that its hour gives it. Airflow asks the policy whenever it maps a task over plans, and whenever a task is
cleared; the listener in `pool.py` asks it for the other tasks of a run that starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.policies import hookimpl

from currents_core.errors import SetupError
from currents_core.hour import parse_hour, resolve_hour

# The pools whose slots divide the budgets. Here, since every process of Airflow loads this module, and little besides.
POOL = "currents"
BACKFILL_POOL = "currents_backfill"
REDRIVE_DAG = "currents_redrive"
# The task between planning and sending that waits for a person, where there is one.
APPROVE = "approve"
# By name, for that is what Airflow stores of them.
STEPS = frozenset(
    {
        "CurrentsApprovalOperator",
        "CurrentsConcludeRedriveOperator",
        "CurrentsDiscoverOperator",
        "CurrentsReconcileOperator",
        "CurrentsSelectLettersOperator",
        "CurrentsToEventBridgeOperator",
    }
)
_FIRST_HOUR = datetime.min.replace(tzinfo=UTC)
# More hours than the calendar has. Weights stay within the 32 bits of Airflow's column.
_ALL_HOURS = 100_000_000


@hookimpl
def task_instance_mutation_hook(task_instance: Any, dag_run: Any) -> None:
    """Gives a step its place in the queue, and one of a backfill, a stretch or a redrive its pool."""
    # Where Airflow does not know the run yet, it asks again once it does.
    if dag_run is None or not _is_step(task_instance):
        return
    weight = priority_weight(dag_run)
    if weight is not None:
        task_instance.priority_weight = weight
    # A run is started by the scheduler, whose listener has made the pool by then. In one that is missing, the task that
    # tells of it would wait as well.
    if dag_run.state == "running" and is_over(dag_run) and task_instance.pool in (POOL, "default_pool"):
        task_instance.pool = BACKFILL_POOL


def priority_weight(dag_run: Any) -> int | None:
    """The priority of all steps of a run: the higher goes first. None for a run that has no hour, which will fail.

    Live hours go first, and the latest among them. Then redrives, which are short, and for which somebody waits. Then
    backfills and stretches; among these, as among redrives, the earliest hour.
    """
    try:
        hour = parse_hour(resolve_hour(dag_run.partition_key, _asked(dag_run).get("hour"), dag_run.data_interval_start))
    except (SetupError, TypeError):
        return None
    number = 1 + (hour - _FIRST_HOUR) // timedelta(hours=1)
    if not is_over(dag_run):
        return number
    return -number if is_redrive(dag_run) else -_ALL_HOURS - number


def is_over(dag_run: Any) -> bool:
    """Whether nothing of a run is live: it is part of a backfill, one by hand of more than an hour, or a redrive."""
    until, hour = _asked(dag_run).get("until"), dag_run.partition_key or _asked(dag_run).get("hour")
    return dag_run.run_type == "backfill" or is_redrive(dag_run) or bool(until and until != hour)


def is_redrive(dag_run: Any) -> bool:
    """Whether a run sends dead letters again."""
    return bool(dag_run.dag_id == REDRIVE_DAG or dag_run.dag_id.startswith(f"{REDRIVE_DAG}_"))


def _asked(dag_run: Any) -> Mapping[str, Any]:
    return dag_run.conf if isinstance(dag_run.conf, Mapping) else {}


def _is_step(task_instance: Any) -> bool:
    return task_instance.operator in STEPS or task_instance.pool in (POOL, BACKFILL_POOL)
