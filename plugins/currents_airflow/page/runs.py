"""The runs of a connector that are on, as Airflow's database has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from currents_core.errors import SetupError, TransientError
from currents_core.hour import resolve_hour
from currents_core.setup.run_request import form_request

# More runs than that are on at a time only while a long backfill waits.
_MOST = 1_000


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A run that is on: its hours, and how many of its deliver tasks are in each state of Airflow's."""

    run: str
    kind: str
    state: str
    began: datetime | None
    hours: tuple[str, ...]
    tasks: Counter[str] = field(default_factory=Counter)


def live_runs(connector: str) -> list[LiveRun]:
    """The runs of a connector's export that are queued or running, the newest first.

    Raises TransientError if Airflow's database gives no answer.
    """
    try:
        return _live_runs(f"currents_export_{connector}")
    except SQLAlchemyError as error:
        # The rest of the text is the query.
        cause = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise TransientError(f"Airflow's database gave no answer: {cause}; ask where Airflow runs") from error


def _live_runs(dag: str) -> list[LiveRun]:
    on = (DagRunState.RUNNING, DagRunState.QUEUED)
    with create_session() as session:
        runs = session.scalars(
            select(DagRun)
            .where(DagRun.dag_id == dag, DagRun.state.in_(on))
            .order_by(DagRun.state.desc(), DagRun.id.desc())
            .limit(_MOST)
        ).all()
        counts = session.execute(
            select(TaskInstance.run_id, TaskInstance.state, func.count())
            .where(TaskInstance.dag_id == dag, TaskInstance.task_id == "deliver")
            .where(TaskInstance.run_id.in_([run.run_id for run in runs]))
            .group_by(TaskInstance.run_id, TaskInstance.state)
        ).all()
        tasks: dict[str, Counter[str]] = {run.run_id: Counter() for run in runs}
        for run_id, state, count in counts:
            tasks[run_id][str(state or "waiting")] += count
        return [
            LiveRun(run.run_id, str(run.run_type), str(run.state), run.start_date, _hours(run), tasks[run.run_id])
            for run in runs
        ]


def hours_under_way(runs: Iterable[LiveRun]) -> set[str]:
    """The hours that running runs are at."""
    return {hour for run in runs if run.state == DagRunState.RUNNING for hour in run.hours}


def _hours(run: DagRun) -> tuple[str, ...]:
    """The hours that a run delivers; none of a replay, a dry run, or one that is refused for what it asks."""
    fields = run.conf or {}
    try:
        hour = resolve_hour(run.partition_key, fields.get("hour"), run.data_interval_start)
        asked = form_request(fields, hour, is_backfill=run.run_type == "backfill")
        # What it sends is not what the hours' own accounts tell of.
        return () if asked.is_replay or asked.is_dry else asked.hours
    except SetupError:
        return ()
