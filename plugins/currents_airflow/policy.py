"""A cluster policy: the deliveries of backfills, and of stretches by hand, have a pool of their own.

In Airflow a pool and a priority belong to a task, not to a run, and those of backfills must leave live hours their own.
Airflow asks the policy whenever it maps a task over plans, and whenever a task is cleared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.policies import hookimpl

# The pools whose slots divide the budgets. Here, since every process of Airflow loads this module, and little besides.
POOL = "currents"
BACKFILL_POOL = "currents_backfill"
# After the tasks of live hours.
BACKFILL_WEIGHT = 1


@hookimpl
def task_instance_mutation_hook(task_instance: Any, dag_run: Any) -> None:
    """Moves a delivery of a backfill from the pool of live hours to that of backfills."""
    # Where Airflow does not know the run yet, it asks again once it does.
    if task_instance.pool == POOL and dag_run is not None and is_backfill(dag_run):
        task_instance.pool = BACKFILL_POOL
        task_instance.priority_weight = BACKFILL_WEIGHT


def is_backfill(dag_run: Any) -> bool:
    """Whether a run is part of a backfill, or one by hand of more than an hour."""
    asked = dag_run.conf if isinstance(dag_run.conf, Mapping) else {}
    until = asked.get("until")
    return dag_run.run_type == "backfill" or bool(until and until != (dag_run.partition_key or asked.get("hour")))
