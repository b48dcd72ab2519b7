from __future__ import annotations

import inspect
from datetime import UTC, datetime
from importlib import import_module
from itertools import pairwise
from pkgutil import iter_modules
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_airflow import operators
from currents_airflow.operators.base import CurrentsOperator
from currents_airflow.policy import (
    BACKFILL_POOL,
    POOL,
    REDRIVE_DAG,
    STEPS,
    priority_weight,
    task_instance_mutation_hook,
)
from currents_core.hour import format_hour

HOUR, LATER = "2026-11-23-08", "2026-11-23-09"
# Runs of earlier years have no hour: their names lack a digit.
HOURS = st.datetimes(datetime(1000, 1, 1), datetime(9998, 12, 31, 22), timezones=st.just(UTC)).map(format_hour)
values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=3)


def run(
    run_type: str = "manual",
    key: Any = None,
    conf: Any = None,
    *,
    dag_id: str = "currents_export_orders",
    state: str = "running",
    starts: datetime | None = None,
) -> Any:
    told = {"run_type": run_type, "partition_key": key, "conf": conf, "data_interval_start": starts}
    return SimpleNamespace(**told, dag_id=dag_id, state=state)


def live(hour: str) -> Any:
    return run("scheduled", hour, {})


def by_hand(hour: str) -> Any:
    return run(conf={"hour": hour, "until": None})


def backfill(hour: str) -> Any:
    return run("backfill", hour)


def stretch(hour: str) -> Any:
    return run(conf={"hour": hour, "until": "9998-12-31-23"})


def redrive(hour: str) -> Any:
    return run(conf={"hour": hour}, dag_id=REDRIVE_DAG)


OVER = [backfill, stretch, redrive]


def moved(dag_run: Any, pool: str = POOL, operator: str = "CurrentsToEventBridgeOperator") -> tuple[str, int]:
    """The pool and the priority of a task of the run."""
    task = SimpleNamespace(pool=pool, priority_weight=100, operator=operator)
    task_instance_mutation_hook(task, dag_run)
    return task.pool, task.priority_weight


@pytest.mark.parametrize(
    "dag_run",
    [
        run("backfill", HOUR),
        run(conf={"hour": HOUR, "until": LATER}),
        run(key=HOUR, conf={"until": LATER}),
        run(conf={"until": LATER}),
        run(conf={"until": LATER}, starts=datetime(2026, 11, 23, 8, tzinfo=UTC)),
        redrive(HOUR),
    ],
    ids=["backfill", "stretch", "stretch from the partition", "no hour", "stretch from the data interval", "redrive"],
)
def test_all_steps_of_backfills_stretches_and_redrives_have_their_pool(dag_run: Any) -> None:
    assert moved(dag_run)[0] == BACKFILL_POOL
    for step in STEPS:
        assert moved(dag_run, "default_pool", step)[0] == BACKFILL_POOL
        assert moved(dag_run, "another", step)[0] == "another", "somebody chose it"
    assert moved(dag_run, "default_pool", "PythonOperator") == ("default_pool", 100), "of a DAG of somebody's own"


@pytest.mark.parametrize("state", ["queued", "success", "failed"])
@pytest.mark.parametrize("kind", OVER)
def test_no_task_waits_in_a_pool_before_a_scheduler_that_makes_it_has_started_the_run(kind: Any, state: str) -> None:
    dag_run = kind(HOUR)
    dag_run.state = state
    assert moved(dag_run, "default_pool") == ("default_pool", priority_weight(dag_run))


@pytest.mark.parametrize(
    "dag_run",
    [
        run("scheduled", HOUR, {}),
        run(conf={"hour": HOUR}),
        run(conf={"hour": HOUR, "until": HOUR}),
        run(conf={"hour": HOUR, "until": None}),
        run(key=HOUR, conf={"until": HOUR}),
        run(key=HOUR, conf={"hour": LATER, "until": HOUR}),
        None,
    ],
    ids=[
        "scheduled",
        "an hour",
        "an hour as a stretch",
        "an empty field",
        "a partition as a stretch",
        "a partition beside an hour",
        "no run yet",
    ],
)
def test_an_hour_stays_in_the_pool_of_live_hours(dag_run: Any) -> None:
    assert moved(dag_run)[0] == POOL
    assert moved(dag_run, "default_pool")[0] == "default_pool"


def test_the_places_in_the_queue() -> None:
    hours = ["2024-02-29-23", "2026-11-23-07", HOUR, LATER]
    queue = [
        *map(live, reversed(hours)),
        *map(redrive, hours),
        *map(backfill, hours),
    ]
    weights = [priority_weight(each) or 0 for each in queue]
    assert weights == sorted(weights, reverse=True)
    assert len(set(weights)) == len(weights)
    assert [priority_weight(by_hand(hour)) for hour in hours] == [priority_weight(live(hour)) for hour in hours]
    assert [priority_weight(stretch(hour)) for hour in hours] == [priority_weight(backfill(hour)) for hour in hours]


def test_a_run_has_the_place_of_its_data_interval_and_one_without_any_hour_keeps_what_it_has() -> None:
    starts = datetime(2026, 11, 23, 8, 59, tzinfo=UTC)
    assert moved(run(starts=starts))[1] == priority_weight(live(HOUR))
    assert moved(run())[1] == 100
    assert moved(run("backfill", "no hour"))[1] == 100


@given(HOURS, HOURS, st.sampled_from([backfill, stretch]))
def test_any_redrive_goes_before_any_backfill(hour: str, other: str, kind: Any) -> None:
    first, behind = priority_weight(redrive(hour)), priority_weight(kind(other))
    assert first is not None
    assert behind is not None
    assert first > behind


@given(HOURS, HOURS, st.sampled_from(OVER), st.sampled_from([live, by_hand]))
def test_whatever_the_hours_live_ones_go_first_and_weights_fit_their_column(
    hour: str, other: str, over: Any, kind: Any
) -> None:
    behind, first = priority_weight(over(hour)), priority_weight(kind(other))
    assert behind is not None
    assert first is not None
    assert -(2**31) < behind < 0 < first < 2**31


@given(st.lists(HOURS, min_size=2, unique=True), st.sampled_from(OVER))
def test_of_what_is_over_the_earliest_hour_goes_first_and_keeps_its_place(hours: list[str], kind: Any) -> None:
    weights = [moved(kind(hour))[1] for hour in sorted(hours)]
    assert all(earlier > later for earlier, later in pairwise(weights))
    again = [moved(kind(hour), BACKFILL_POOL)[1] for hour in sorted(hours)]
    assert again == weights, "a task that is asked about again is where it was"


@given(st.sampled_from(["manual", "backfill"]), values, st.dictionaries(st.sampled_from(["hour", "until"]), values))
def test_whatever_a_run_is_asked_for_breaks_no_scheduler(run_type: str, key: Any, asked: Any) -> None:
    for conf in (asked, list(asked), None):
        assert moved(run(run_type, key, conf))[0] in (POOL, BACKFILL_POOL)


def test_the_policy_knows_every_step() -> None:
    modules = [import_module(f"{operators.__name__}.{each.name}") for each in iter_modules(operators.__path__)]
    found = {each for module in modules for each in vars(module).values() if inspect.isclass(each)}
    steps = {each.__name__ for each in found if issubclass(each, CurrentsOperator)} - {CurrentsOperator.__name__}
    assert steps == STEPS
