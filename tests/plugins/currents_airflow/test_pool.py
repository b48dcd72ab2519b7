from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.models.pool import Pool
from sqlalchemy import create_engine, select
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.orm import Session

from currents_airflow import pool
from currents_core.setup.settings import POOL


@pytest.fixture
def session() -> Iterator[Session]:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE slot_pool (id INTEGER PRIMARY KEY, pool VARCHAR(256) UNIQUE, slots INTEGER, "
            "description TEXT, include_deferred BOOLEAN NOT NULL, team_name VARCHAR(50))"
        )
    with Session(engine) as session:
        yield session


def slots(session: Session) -> dict[str | None, int]:
    return {each.pool: each.slots for each in session.scalars(select(Pool)).all()}


def test_the_pool_is_made_once_and_gets_the_slots_that_the_budgets_say(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    session.add(Pool(pool="other", slots=7, description="", include_deferred=False))
    for wanted in (4, 4, 2):
        pool.keep_pool(session, wanted)
        assert slots(session) == {"other": 7, POOL: wanted}
    assert "reset the pool currents to 2 slots" in caplog.text


@pytest.mark.parametrize(
    ("dialect", "words"),
    [(postgresql.dialect(), "ON CONFLICT DO NOTHING"), (mysql.dialect(), "INSERT IGNORE INTO")],  # type: ignore[no-untyped-call]
    ids=["postgresql", "mysql"],
)
def test_two_schedulers_can_not_get_in_each_others_way(dialect: Any, words: str) -> None:
    bind = SimpleNamespace(dialect=dialect)
    statement = pool._insert(SimpleNamespace(get_bind=lambda: bind), 4)  # type: ignore[arg-type]
    assert words in str(statement.compile(dialect=dialect))


def test_only_runs_with_tasks_in_it_look_after_it(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    connector = """
  - name: {}
    source: {{bucket: braze, prefix: in}}
    destination: {{kind: event_bus, name: bus, region: us-east-1}}
    state: {{bucket: state}}
    budget: {{slots: {}, backfill_slots: 1}}"""
    path = tmp_path / "connectors.yaml"
    path.write_text("connectors:" + connector.format("a", 3) + connector.format("b", 5))
    monkeypatch.setenv("CURRENTS_CONNECTORS", str(path))
    monkeypatch.setattr("sqlalchemy.orm.object_session", lambda _: session)

    def start(*pools: str) -> None:
        tasks = [SimpleNamespace(pool=each, get_flat_relative_ids=lambda upstream: set()) for each in pools]
        pool.on_dag_run_running(SimpleNamespace(dag=SimpleNamespace(tasks=tasks)), "started")

    start("default_pool", "another")
    assert slots(session) == {}
    start("default_pool", POOL)
    assert slots(session) == {POOL: 3}, "with more, the tasks of a could exceed its budget"
