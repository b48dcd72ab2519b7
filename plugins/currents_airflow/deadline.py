"""When the hour of a run ended: what its deadline is counted from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

# `airflow.sdk` itself has it only since 3.3.2.
from airflow.sdk.definitions.deadline import BaseDeadlineReference

from currents_core.hour import hour_end, is_live

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class HourEnd(BaseDeadlineReference):
    """The end of the hour of a scheduled run; none for backfills, manual runs, and hours that are caught up with.

    Airflow's own references know the logical date, which these runs have not, and the time of queueing, which says
    nothing about the hour.
    """

    required_kwargs = {"dag_id", "run_id"}  # noqa: RUF012 - as Airflow declares it

    def _evaluate_with(self, *, session: Session, dag_id: str, run_id: str, **_: Any) -> datetime | None:
        # Runs in the scheduler, which is the only one that has the runs.
        from airflow.models.dagrun import DagRun
        from sqlalchemy import select

        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if not run or run.run_type != "scheduled" or not run.partition_key:
            return None
        # Where hours are caught up with, nobody is to be woken for that.
        return hour_end(run.partition_key) if is_live(run.partition_key, datetime.now(UTC)) else None
