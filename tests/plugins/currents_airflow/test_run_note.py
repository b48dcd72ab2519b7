from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from airflow.models.dagrun import DagRun, DagRunNote
from sqlalchemy import select
from sqlalchemy.orm import Session

from currents_airflow.policy import POOL
from currents_airflow.run_note import on_dag_run_running

HOUR, LATER = "2026-11-23-08", "2026-11-23-09"
EXPORT = {"hour": None, "until": None}
REDRIVE = {"connector": "orders", "hour": None, "until": None}


@pytest.fixture
def noted(session: Session) -> Callable[..., str | None]:
    """Gives the note that is stored with a run once it has started."""

    def start(run_type: str = "manual", conf: Any = None, *, params: Any = EXPORT, pool: str = POOL, **run: Any) -> Any:
        started = DagRun(dag_id="d", run_id=f"{run_type}__{uuid4()}", run_type=run_type, conf=conf, **run)
        started.dag = cast(Any, SimpleNamespace(params=params, tasks=[SimpleNamespace(pool=pool)]))
        session.add(started)
        on_dag_run_running(started, "started")
        session.flush()
        return session.scalar(select(DagRunNote.content).where(DagRunNote.dag_run_id == started.id))

    return start


@pytest.mark.parametrize(
    ("run", "note"),
    [
        ({"conf": {"hour": HOUR}}, HOUR),
        ({"conf": {"hour": HOUR, "until": LATER}}, f"{HOUR} to {LATER}, 2 hours"),
        ({"partition_key": HOUR, "conf": {"dry_run": True, "max_events": 7}}, f"{HOUR}, dry run, at most 7 events"),
        ({"conf": {"hour": HOUR, "replay": True, "reason": "lost"}}, f"{HOUR}, sent again: lost"),
        ({"conf": {"hour": HOUR, "event_types": ["users.*"], "pace": 50}}, f"{HOUR}, `users.*`, pace 50%"),
        ({"run_type": "backfill", "partition_key": HOUR}, f"backfill: {HOUR}"),
        ({"conf": {"hour": HOUR, "codes": ["no_id"]}, "params": REDRIVE}, f"dead letters of orders: {HOUR}, `no_id`"),
        ({"conf": {"hour": HOUR, "connector": "mails"}, "params": REDRIVE}, f"dead letters of mails: {HOUR}"),
        ({"conf": {"hour": LATER, "until": HOUR}}, f"refused: `until` ({HOUR}) is before `hour` ({LATER}); swap them"),
    ],
)
def test_a_run_says_what_it_does(noted: Callable[..., Any], run: dict[str, Any], note: str) -> None:
    assert noted(**run) == note


def test_a_note_of_the_user_stays_and_scheduled_and_other_runs_need_none(noted: Callable[..., Any]) -> None:
    assert noted(conf={"hour": HOUR}, note="for the auditors") == "for the auditors"
    assert noted("scheduled", partition_key=HOUR) is None
    assert noted(conf={"hour": HOUR}, pool="default_pool") is None


def test_a_note_fits_into_airflows_column(noted: Callable[..., Any]) -> None:
    types = [f"users.{number}" for number in range(1_000)]
    assert len(noted(conf={"hour": HOUR, "event_types": types}) or "") <= 1_000
