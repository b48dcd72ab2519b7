"""The runs of a connector, as Airflow's database has them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from currents_airflow.connectors import all_connectors
from currents_airflow.policy import APPROVE, REDRIVE_DAG
from currents_core.errors import SetupError, TransientError
from currents_core.hour import resolve_hour
from currents_core.setup.run_request import (
    RunRequest,
    automatic_redrive_request,
    form_request,
    redrive_request,
)
from currents_core.setup.settings import Connector

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

# More runs than that are on at a time only while a long backfill waits.
_MOST = 1_000
_ON = (DagRunState.RUNNING, DagRunState.QUEUED)


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a connector: its DAG, what it is asked for, and how many of its deliver tasks are in each state.

    ``state`` and the states of ``tasks`` are Airflow's. Of a run that is refused for what it asks, nobody knows its
    ``hours``, and ``what`` says why. ``is_accounted`` if the accounts of these hours tell of what it does: those of a
    dry run or a replay don't. ``delivers`` if it delivers files. ``waits`` if it waits for somebody's approval.
    """

    dag: str
    run: str
    kind: str
    state: str
    began: datetime | None
    ended: datetime | None
    hours: tuple[str, ...] = ()
    what: str = ""
    delivers: bool = False
    tasks: Counter[str] = field(default_factory=Counter)
    is_accounted: bool = True
    waits: bool = False

    @property
    def is_on(self) -> bool:
        """Whether it is queued or running."""
        return self.state in _ON


def live_runs(connector: Connector) -> list[Run]:
    """The runs of a connector that are queued or running, the newest first.

    Raises TransientError if Airflow's database gives no answer.
    """
    with _session() as session:
        found = session.scalars(
            select(DagRun)
            .where(DagRun.dag_id.in_(_dags(connector)), DagRun.state.in_(_ON))
            .order_by(DagRun.state.desc(), DagRun.id.desc())
        )
        form = cache(_first_of_form)
        return _told(session, connector, list(islice((run for run in found if _is_of(connector, run, form)), _MOST)))


def one_run(connectors: Iterable[Connector], dag: str, run_id: str) -> tuple[Connector, Run] | None:
    """A run of one of some connectors, and that connector; None if there is no such run.

    Raises TransientError if Airflow's database gives no answer.
    """
    with _session() as session:
        found = session.scalar(select(DagRun).where(DagRun.dag_id == dag, DagRun.run_id == run_id))
        form = cache(_first_of_form)
        connector = next((each for each in connectors if found and _is_of(each, found, form)), None)
        return (connector, _told(session, connector, [found])[0]) if connector and found else None


def hours_under_way(runs: Iterable[Run]) -> set[str]:
    """The hours that running runs deliver. One that waits for approval delivers nothing yet."""
    at_it = [run for run in runs if run.delivers and run.state == DagRunState.RUNNING and not run.waits]
    return {hour for run in at_it for hour in run.hours}


@contextmanager
def _session() -> Iterator[Session]:
    try:
        with create_session() as session:
            yield session
    except SQLAlchemyError as error:
        # The rest of the text is the query.
        cause = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise TransientError(f"Airflow's database gave no answer: {cause}; ask where Airflow runs") from error


def _dags(connector: Connector) -> tuple[str, ...]:
    return f"currents_export_{connector.name}", f"{REDRIVE_DAG}_{connector.name}", REDRIVE_DAG


def _first_of_form() -> str | None:
    """The connector that the form of the redrive DAG begins with, which a run has that names none."""
    return next(iter(all_connectors().valid), None)


def _is_of(connector: Connector, run: DagRun, form: Callable[[], str | None]) -> bool:
    """Whether a run is one of the connector's: one DAG sends the dead letters of all."""
    if run.dag_id != REDRIVE_DAG:
        return run.dag_id in _dags(connector)
    conf = _conf(run)
    # To look into the file for each of very many runs would take seconds.
    return bool((conf["connector"] if "connector" in conf else form()) == connector.name)


def _conf(run: DagRun) -> dict[str, Any]:
    return run.conf if isinstance(run.conf, dict) else {}


def _told(session: Session, connector: Connector, runs: Sequence[DagRun]) -> list[Run]:
    tasks: defaultdict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    columns = (TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.state)
    counts = session.execute(
        select(*columns, func.count())
        .where(TaskInstance.dag_id.in_({run.dag_id for run in runs}), TaskInstance.task_id.in_(("deliver", APPROVE)))
        .where(TaskInstance.run_id.in_([run.run_id for run in runs]))
        .group_by(*columns)
    )
    for dag, run_id, task, state, count in counts:
        tasks[dag, run_id, task][str(state or "waiting")] += count
    return [
        replace(
            _run(connector, run, tasks[run.dag_id, run.run_id, "deliver"]),
            waits=TaskInstanceState.AWAITING_INPUT in tasks[run.dag_id, run.run_id, APPROVE],
        )
        for run in runs
    ]


def _run(connector: Connector, run: DagRun, tasks: Counter[str]) -> Run:
    kind = str(run.run_type)
    if run.dag_id.startswith(REDRIVE_DAG):
        kind = "redrive" if run.dag_id == REDRIVE_DAG else "automatic redrive"
    told = Run(run.dag_id, run.run_id, kind, str(run.state), run.start_date, run.end_date, tasks=tasks)
    try:
        asked = _asked(connector, run)
    except SetupError as error:
        return replace(told, what=str(error) if told.state == DagRunState.SUCCESS else f"refused: {error}")
    told = replace(told, hours=asked.hours, what=asked.summary, kind="replay" if asked.is_replay else kind)
    is_accounted = not (asked.is_replay or asked.is_dry)
    return replace(told, is_accounted=is_accounted, delivers=is_accounted and not asked.is_redrive)


def _asked(connector: Connector, run: DagRun) -> RunRequest:
    """What a run is asked to do. Raises SetupError if it is refused for it."""
    fields = _conf(run)
    hour = resolve_hour(run.partition_key, fields.get("hour"), run.data_interval_start)
    if run.dag_id == REDRIVE_DAG:
        return redrive_request(fields, hour)
    if run.dag_id.startswith(REDRIVE_DAG):
        if not connector.automatic_redrive:
            raise SetupError("automatic_redrive was removed from the connector's settings")
        return automatic_redrive_request(connector.automatic_redrive, hour)
    return form_request(fields, hour, is_backfill=run.run_type == "backfill")
