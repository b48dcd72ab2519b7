"""Tells the tasks that plan deliveries whether the scheduler keeps the pools for them.

Tasks can't see pools, and a task in a missing pool waits forever. So whenever a run starts, the scheduler leaves a note
in Airflow's task state store, and a planning task that finds no note fails: its scheduler lacks the plugin, and with it
the policy that moves backfills to their pool.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from currents_airflow.policy import BACKFILL_POOL, POOL
from currents_core.errors import SetupError

if TYPE_CHECKING:
    from airflow.sdk import Context
    from sqlalchemy.orm import Session

_KEY = "currents_pool_slots"


def confirm_pools(dag_run: Any, slots: int, session: Session) -> None:
    """Leaves the notes of a run that starts, in the scheduler's own transaction."""
    from airflow.state import TaskScope, get_state_backend

    for task_id in _planning(dag_run.dag):
        scope = TaskScope(dag_run.dag_id, dag_run.run_id, task_id)
        get_state_backend().set(scope, _KEY, json.dumps(slots), session=session)


def require_pools(context: Context) -> None:
    """Raises SetupError where a task that plans deliveries finds no note."""
    if _needs_note(context) and context["task_state_store"].get(_KEY) is None:
        raise SetupError(
            f"the scheduler does not keep the Airflow pools `{POOL}` and `{BACKFILL_POOL}`, and deliveries would wait "
            "for them forever; install the package currents-export there, or mount its plugins folder, make the "
            "connectors file readable there, restart the scheduler, and clear this task"
        )


def _needs_note(context: Context) -> bool:
    task, run = context["ti"], context["dag_run"]
    # `airflow dags test` and `airflow tasks test` run tasks themselves, and ignore pools.
    if run.triggering_user_name == "dag_test" or run.run_id.startswith("__airflow_temporary_run"):
        return False
    # A mapped task has no note: when its run starts, the scheduler does not know it yet.
    return task.map_index == -1 and task.task_id in _planning(context["dag"])


def _planning(dag: Any) -> set[str]:
    """The ids of the tasks that the tasks in the pool wait for."""
    return {name for task in dag.tasks if task.pool == POOL for name in task.get_flat_relative_ids(upstream=True)}
