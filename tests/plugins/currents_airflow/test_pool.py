from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from airflow.models.pool import Pool
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import insert, select
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.orm import Session

from currents_airflow import pool
from currents_airflow.policy import BACKFILL_POOL, BACKFILL_WEIGHT, POOL


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
        run = SimpleNamespace(dag=SimpleNamespace(tasks=tasks), run_type="scheduled", conf={})
        pool.on_dag_run_running(run, "started")

    start("default_pool", "another")
    assert slots(session) == {}
    start("default_pool", POOL)
    assert slots(session) == {POOL: 3, BACKFILL_POOL: 1}, "with more, a task could exceed the budget of its connector"


def test_all_tasks_of_a_backfill_come_last_and_its_deliveries_have_their_pool(session: Session) -> None:
    def task(task_id: str, pool: str, run: str = "backfill__1") -> dict[str, Any]:
        named = {"dag_id": "d", "run_id": run, "task_id": task_id, "map_index": -1, "pool": pool}
        return {"id": uuid4(), **named, "pool_slots": 1, "priority_weight": 100, "queue": "default", "max_tries": 0}

    other = task("deliver", POOL, "scheduled__1")
    session.execute(
        insert(TaskInstance), [task("discover", "default_pool"), task("deliver", POOL), task("mine", "mine"), other]
    )
    pool.put_last(session, SimpleNamespace(dag_id="d", run_id="backfill__1"))
    found = session.execute(
        select(TaskInstance.run_id, TaskInstance.task_id, TaskInstance.pool, TaskInstance.priority_weight)
    )
    assert sorted(found) == [
        ("backfill__1", "deliver", BACKFILL_POOL, BACKFILL_WEIGHT),
        ("backfill__1", "discover", "default_pool", BACKFILL_WEIGHT),
        ("backfill__1", "mine", "mine", BACKFILL_WEIGHT),
        ("scheduled__1", "deliver", POOL, 100),
    ]
