from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from airflow.models.dagrun import DagRun
from airflow.models.pool import Pool
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import insert, select
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.orm import Session

from currents_airflow import pool
from currents_airflow.policy import BACKFILL_POOL, POOL, priority_weight

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def slots(session: Session) -> dict[str | None, int]:
    return {each.pool: each.slots for each in session.scalars(select(Pool)).all()}


def test_the_pool_is_made_once_and_gets_the_slots_that_the_budgets_say(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    session.add(Pool(pool="other", slots=7, description="", include_deferred=False))
    for wanted in (4, 4, 2):
        pool.keep_pool(session, POOL, wanted, "slots")
        assert slots(session) == {"other": 7, POOL: wanted}
    assert "reset the pool currents to 2 slots" in caplog.text


@pytest.mark.parametrize(
    ("dialect", "words"),
    [(postgresql.dialect(), "ON CONFLICT DO NOTHING"), (mysql.dialect(), "INSERT IGNORE INTO")],  # type: ignore[no-untyped-call]
    ids=["postgresql", "mysql"],
)
def test_two_schedulers_can_not_get_in_each_others_way(dialect: Any, words: str) -> None:
    bind = SimpleNamespace(dialect=dialect)
    statement = pool._insert(SimpleNamespace(get_bind=lambda: bind), POOL, 4, "slots")  # type: ignore[arg-type]
    assert words in str(statement.compile(dialect=dialect))


def test_only_runs_with_tasks_in_it_look_after_it(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    connector = """
  - name: {}
    source: {{bucket: braze, prefix: in}}
    destination: {{kind: event_bus, name: bus, region: us-east-1}}
    state: {{bucket: state}}
    budget: {{slots: {}, backfill_slots: {}}}"""
    path = tmp_path / "connectors.yaml"
    path.write_text("connectors:" + connector.format("a", 3, 2) + connector.format("b", 5, 1))
    monkeypatch.setenv("CURRENTS_CONNECTORS", str(path))
    monkeypatch.setattr("sqlalchemy.orm.object_session", lambda _: session)

    def start(*pools: str) -> None:
        tasks = [SimpleNamespace(pool=each, get_flat_relative_ids=lambda upstream: set()) for each in pools]
        run = SimpleNamespace(dag=SimpleNamespace(tasks=tasks), dag_id="d", run_id="scheduled__1")
        pool.on_dag_run_running(run, "started")

    start("default_pool", "another")
    assert slots(session) == {}
    start("default_pool", POOL)
    assert slots(session) == {POOL: 3, BACKFILL_POOL: 1}, "with more, a task could exceed the budget of its connector"


def test_when_a_run_starts_its_tasks_get_their_places_and_pools(session: Session) -> None:
    def task(task_id: str, operator: str, pool: str, run: str = "backfill__1") -> dict[str, Any]:
        named = {"dag_id": "d", "run_id": run, "task_id": task_id, "map_index": -1, "pool": pool, "operator": operator}
        return {"id": uuid4(), **named, "pool_slots": 1, "priority_weight": 100, "queue": "default", "max_tries": 0}

    tasks = [
        task("discover", "CurrentsDiscoverOperator", "default_pool"),
        task("deliver", "CurrentsToEventBridgeOperator", POOL),
        task("mine", "PythonOperator", "mine"),
        task("deliver", "CurrentsToEventBridgeOperator", POOL, "scheduled__1"),
    ]
    runs = {"backfill__1": "backfill", "scheduled__1": "scheduled"}
    session.add_all(DagRun(dag_id="d", run_id=name, run_type=kind, run_after=NOW) for name, kind in runs.items())
    session.execute(insert(TaskInstance), tasks)
    asked: dict[str, Any] = {"partition_key": "2026-11-23-08", "conf": {}, "data_interval_start": None}
    run = SimpleNamespace(dag_id="d", run_id="backfill__1", run_type="backfill", state="running", **asked)
    pool.give_places(session, run)
    session.flush()
    columns = (TaskInstance.run_id, TaskInstance.task_id, TaskInstance.pool, TaskInstance.priority_weight)
    weight = priority_weight(run)
    assert sorted(session.execute(select(*columns))) == [
        ("backfill__1", "deliver", BACKFILL_POOL, weight),
        ("backfill__1", "discover", BACKFILL_POOL, weight),
        ("backfill__1", "mine", "mine", 100),
        ("scheduled__1", "deliver", POOL, 100),
    ]
