"""Keeps the Airflow pool whose slots share out the budgets as the connectors say, so that nobody has to.

A listener of the scheduler: only that knows the pools, and a task of a pool that is missing waits for ever.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

from currents_airflow.connectors import all_connectors
from currents_airflow.pool_check import confirm_pool
from currents_core.setup.settings import POOL, pool_slots

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)

_DESCRIPTION = "Deliveries of Currents events; made and kept by Currents Export: change budget.slots, not this"


@hookimpl
def on_dag_run_running(dag_run: Any, msg: str) -> None:  # noqa: ARG001 - the names are Airflow's
    """Keeps the pool whenever a run with tasks in it starts, in the scheduler's own transaction."""
    from sqlalchemy.orm import object_session

    if not any(task.pool == POOL for task in dag_run.dag.tasks):
        return
    connectors = all_connectors().valid.values()
    if (session := object_session(dag_run)) and connectors:
        slots = pool_slots(connectors)
        keep_pool(session, slots)
        confirm_pool(dag_run, slots, session)


def keep_pool(session: Session, slots: int) -> None:
    """Creates the pool with this many slots, or resizes it."""
    from airflow.models.pool import Pool
    from sqlalchemy import update

    if session.execute(_insert(session, slots)).rowcount:  # type: ignore[attr-defined]
        log.info("created the pool %s with %d slots", POOL, slots)
        return
    other = update(Pool).where(Pool.pool == POOL, Pool.slots != slots).values(slots=slots)
    if session.execute(other).rowcount:  # type: ignore[attr-defined]
        log.warning("reset the pool %s to %d slots, as budget.slots of the connectors says", POOL, slots)


def _insert(session: Session, slots: int) -> Any:
    """An insert that does nothing if the pool exists: of two schedulers that find none, only one can create it."""
    from airflow.models.pool import Pool
    from sqlalchemy import insert
    from sqlalchemy.dialects import postgresql

    row = {"pool": POOL, "slots": slots, "description": _DESCRIPTION, "include_deferred": False}
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(Pool).values(**row).on_conflict_do_nothing()
    ignoring = insert(Pool).prefix_with("OR IGNORE", dialect="sqlite").prefix_with("IGNORE", dialect="mysql")
    return ignoring.values(**row)
