"""Keeps the Airflow pools whose slots share out the budgets as the connectors say, so that nobody has to.

A listener of the scheduler: only that knows the pools, and a task of a pool that is missing waits for ever.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

from currents_airflow.connectors import all_connectors
from currents_airflow.policy import BACKFILL_POOL, POOL, task_instance_mutation_hook
from currents_airflow.pool_check import confirm_pools
from currents_core.setup.settings import pool_slots

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)

_DESCRIPTION = "Deliveries of Currents events; made and kept by Currents Export: change budget.{}, not this"


@hookimpl
def on_dag_run_running(dag_run: Any, msg: str) -> None:  # noqa: ARG001 - the names are Airflow's
    """Keeps the pools whenever a run with tasks in them starts, in the scheduler's own transaction."""
    from sqlalchemy.orm import object_session

    if not delivers(dag_run):
        return
    connectors = all_connectors().valid.values()
    if (session := object_session(dag_run)) and connectors:
        slots, backfill_slots = pool_slots(connectors)
        keep_pool(session, POOL, slots, "slots")
        keep_pool(session, BACKFILL_POOL, backfill_slots, "backfill_slots")
        confirm_pools(dag_run, slots + backfill_slots, session)
        give_places(session, dag_run)


def delivers(dag_run: Any) -> bool:
    """Whether a run has tasks in the pools."""
    return any(task.pool == POOL for task in dag_run.dag.tasks)


def give_places(session: Session, dag_run: Any) -> None:
    """Does to all tasks of a run what the cluster policy does to those that are mapped or cleared later.

    The policy is not asked for all tasks of a new run, and maybe not where the run was made or cleared.
    """
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    tasks = select(TaskInstance).where(TaskInstance.dag_id == dag_run.dag_id, TaskInstance.run_id == dag_run.run_id)
    for each in session.scalars(tasks):
        task_instance_mutation_hook(each, dag_run)


def keep_pool(session: Session, name: str, slots: int, setting: str) -> None:
    """Creates the pool with as many slots as the setting of the budgets says, or resizes it."""
    from airflow.models.pool import Pool
    from sqlalchemy import update

    if session.execute(_insert(session, name, slots, setting)).rowcount:  # type: ignore[attr-defined]
        log.info("created the pool %s with %d slots", name, slots)
        return
    other = update(Pool).where(Pool.pool == name, Pool.slots != slots).values(slots=slots)
    if session.execute(other).rowcount:  # type: ignore[attr-defined]
        log.warning("reset the pool %s to %d slots, as budget.%s of the connectors says", name, slots, setting)


def _insert(session: Session, name: str, slots: int, setting: str) -> Any:
    """An insert that does nothing if the pool exists: of two schedulers that find none, only one can create it."""
    from airflow.models.pool import Pool
    from sqlalchemy import insert
    from sqlalchemy.dialects import postgresql

    row = {"pool": name, "slots": slots, "description": _DESCRIPTION.format(setting), "include_deferred": False}
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(Pool).values(**row).on_conflict_do_nothing()
    ignoring = insert(Pool).prefix_with("OR IGNORE", dialect="sqlite").prefix_with("IGNORE", dialect="mysql")
    return ignoring.values(**row)
