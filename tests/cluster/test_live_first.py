"""The live hour first, whatever else runs: what else wants the slots of a small cluster, through its REST API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from currents_airflow.policy import BACKFILL_POOL, POOL, REDRIVE_DAG
from currents_core.hour import format_hour, hours_back
from tests.cluster.stage import cluster_stage
from tests.dags.stage import TYPES, Export, Stage
from tests.tools.awaiting import wait_for
from tests.tools.sample import make_files
from tests.tools.scheduler import RunningDag

# Whose hours take half a minute.
BUSY = ["busy_a", "busy_b", "busy_c"]
HOURS = [*hours_back("2026-05-10-12", 12), "2026-05-10-12"]
# As many as Airflow lets a DAG have before it makes no scheduled run, unless it is told of another limit.
STRETCHES = 16

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1_800)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    rates = {**dict.fromkeys(BUSY, 6), "ordered": 100, "live": 100}
    changes = {name: {"budget": {"requests_per_second": rate}} for name, rate in rates.items()}
    # Few slots: twice as many as what is over may take.
    with cluster_stage(tmp_path_factory.mktemp("cluster"), changes, {"AIRFLOW_PARALLELISM": "4"}) as (found, _):
        yield found


def test_hours_are_backfilled_in_their_order_and_one_that_is_cleared_keeps_its_place(stage: Stage) -> None:
    export = Export(stage, "ordered")
    hours = HOURS[:9]
    for hour in hours:
        export.put(hour, rows=5)
    export.dag.switch_on()
    number = export.dag.start_backfill(
        "2026-05-10T00", "2026-05-10T09", reprocess_behavior="none", max_active_runs=len(hours)
    )
    runs = {each["partition_key"]: each["dag_run_id"] for each in wait_for(400, lambda: export.dag.runs("backfill"))}
    assert list(runs) == hours
    first = runs[hours[0]]
    assert export.dag.ended(first) == "success"
    export.dag.clear(first)
    assert export.dag.ended(first) == "success"
    assert not any(each["start_date"] for hour in hours[-3:] for each in export.dag.tasks(runs[hour]))
    assert [each["try_number"] for each in export.dag.tasks(first)] == [2, 2, 2]
    assert {each["pool"] for each in export.dag.tasks(first)} == {BACKFILL_POOL}
    assert export.dag.ended(runs[hours[-1]], 900) == "success"
    begun = [queued(export, runs[hour]) for hour in hours[1:]]
    assert begun == sorted(begun)
    assert len(export.ids()) == len(export.accepted())
    stage.scheduler.answer("PUT", f"backfills/{number}/cancel")


def queued(export: Export, run: str) -> str:
    """When the first task of a run was queued."""
    return min(str(each["queued_when"]) for each in export.dag.tasks(run) if each["task_id"] == "discover")


def test_the_live_hour_goes_first_while_everything_else_runs(stage: Stage) -> None:
    live, busy = Export(stage, "live"), [Export(stage, name) for name in BUSY]
    for each in busy:
        for file in make_files(HOURS, TYPES[:1], rows=1_500, prefix=f"{each.connector}/"):
            each.put_object(file.key, file.body)
        each.dag.switch_on()
    numbers = [each.dag.start_backfill("2026-05-10T00", "2026-05-10T12", reprocess_behavior="none") for each in busy]
    redrives = RunningDag(stage.scheduler, REDRIVE_DAG)
    redrives.switch_on()
    for name in BUSY:
        redrives.trigger(connector=name, hour=HOURS[0])
    for _ in range(STRETCHES):
        live.dag.trigger(hour=HOURS[0], until=HOURS[-1])
    wait_for(400, lambda: len(waiting(stage)) > 10)
    last = format_hour(datetime.now(UTC) - timedelta(hours=1))
    events = {hour: live.put(hour) for hour in (*hours_back(last, 1), last)}
    numbers.append(live.dag.start_backfill("2026-05-10T00", "2026-05-10T12", reprocess_behavior="none"))
    live.dag.switch_on()
    [run] = wait_for(400, lambda: live.dag.runs("scheduled"))
    assert live.dag.ended(run["dag_run_id"]) == "success"
    assert len(live.ids()) == events[run["partition_key"]]
    tasks = live.dag.tasks(run["dag_run_id"])
    assert [each["pool"] for each in sorted(tasks, key=lambda task: str(task["start_date"]))] == [
        "default_pool",
        POOL,
        "default_pool",
    ]
    for each in tasks:
        waited = datetime.fromisoformat(each["start_date"]) - datetime.fromisoformat(each["scheduled_when"])
        # Behind all that waits, it would have been minutes.
        assert waited < timedelta(seconds=60), each["task_id"]
    begun = [each for each in everything(stage) if each["start_date"]]
    over = [each for each in begun if not each["dag_run_id"].startswith("scheduled__")]
    assert {each["pool"] for each in over} == {BACKFILL_POOL}
    assert most_at_once(over) <= 2, "discover and reconcile among them"
    assert len(waiting(stage)) > 10, "it was busy all the time"
    for number in numbers:
        stage.scheduler.answer("PUT", f"backfills/{number}/cancel")


def everything(stage: Stage) -> list[Any]:
    """All tasks of all runs of the exports that are busy, and of redrives."""
    names = [f"currents_export_{name}" for name in (*BUSY, "live")]
    found: list[Any] = []
    for name in (*names, REDRIVE_DAG):
        found += stage.scheduler.ask("GET", f"dags/{name}/dagRuns/~/taskInstances?limit=100")["task_instances"]
    return found


def waiting(stage: Stage) -> list[Any]:
    """Those that could run, if the pool of what is over had a slot."""
    return [each for each in everything(stage) if (each["state"], each["pool"]) == ("scheduled", BACKFILL_POOL)]


def most_at_once(tasks: list[Any]) -> int:
    """How many of the tasks ran at the same time, at most."""
    steps = [(each["start_date"], 1) for each in tasks] + [(each["end_date"], -1) for each in tasks if each["end_date"]]
    most = now = 0
    for _, step in sorted(steps):
        now += step
        most = max(most, now)
    return most
