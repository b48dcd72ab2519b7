from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_airflow.policy import BACKFILL_POOL, BACKFILL_WEIGHT, POOL, task_instance_mutation_hook

HOUR, LATER = "2026-11-23-08", "2026-11-23-09"
values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=3)


def run(run_type: str = "manual", key: str | None = None, conf: Any = None) -> Any:
    return SimpleNamespace(run_type=run_type, partition_key=key, conf=conf)


def moved(dag_run: Any, pool: str = POOL) -> tuple[str, int]:
    """The pool and the priority of a task that is mapped in the run."""
    task = SimpleNamespace(pool=pool, priority_weight=100)
    task_instance_mutation_hook(task, dag_run)
    return task.pool, task.priority_weight


@pytest.mark.parametrize(
    "dag_run",
    [
        run("backfill", HOUR),
        run(conf={"hour": HOUR, "until": LATER}),
        run(key=HOUR, conf={"until": LATER}),
        run(conf={"until": LATER}),
    ],
    ids=["backfill", "stretch", "stretch from the partition", "stretch from the data interval"],
)
def test_backfills_and_stretches_have_their_pool_and_come_last(dag_run: Any) -> None:
    assert moved(dag_run) == (BACKFILL_POOL, BACKFILL_WEIGHT)
    assert moved(dag_run, "another") == ("another", 100)


@pytest.mark.parametrize(
    "dag_run",
    [
        run("scheduled", HOUR, {}),
        run(conf={"hour": HOUR}),
        run(conf={"hour": HOUR, "until": HOUR}),
        run(conf={"hour": HOUR, "until": None}),
        None,
    ],
    ids=["scheduled", "an hour", "an hour as a stretch", "an empty field", "no run yet"],
)
def test_an_hour_stays_in_the_pool_of_live_hours(dag_run: Any) -> None:
    assert moved(dag_run) == (POOL, 100)


@given(st.sampled_from(["manual", "backfill"]), values, st.dictionaries(st.sampled_from(["hour", "until"]), values))
def test_whatever_a_run_is_asked_for_breaks_no_scheduler(run_type: str, key: Any, asked: Any) -> None:
    for conf in (asked, list(asked), None):
        assert moved(run(run_type, key, conf))[0] in (POOL, BACKFILL_POOL)
