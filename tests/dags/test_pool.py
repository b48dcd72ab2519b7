"""The pool in which deliveries run is gone, or its scheduler can't keep it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.dags.stage import HOUR, TYPES, Export, Stage, set_up
from tests.tools.airflow_env import PYTHONPATH, ROOT
from tests.tools.awaiting import wait_for
from tests.tools.local_aws import local_aws
from tests.tools.sample import make_files
from tests.tools.scheduler import RunningDag, scheduler

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]


@contextmanager
def running(migrated: Path, home: Path, scheduler_environment: Mapping[str, str] | None) -> Iterator[Export]:
    """An Airflow with a connector, whose DAGs are switched on."""
    shutil.copy(migrated, home / "airflow.db")
    with local_aws() as aws:
        budget = {"requests_per_second": 20, "slots": 1, "backfill_slots": 1}
        bucket, connectors = set_up(aws, {"pooled": {"budget": budget}})
        with scheduler(home, aws, connectors, scheduler_environment=scheduler_environment) as found:
            export = Export(Stage(aws, bucket, found), "pooled")
            export.dag.switch_on()
            yield export


def redrive(export: Export) -> RunningDag:
    found = RunningDag(export.stage.scheduler, "currents_redrive")
    found.switch_on()
    return found


def test_where_the_scheduler_lacks_the_plugin_the_first_task_says_so(migrated: Path, tmp_path: Path) -> None:
    lacking = {
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(tmp_path / "empty"),
        "PYTHONPATH": f"{PYTHONPATH}:{ROOT / 'plugins'}",
    }
    with running(migrated, tmp_path, lacking) as export:

        def refused(dag: RunningDag, task: str, **asked: str) -> None:
            run = dag.trigger(hour=HOUR, **asked)
            assert dag.ended(run, 600) == "failed"
            assert dag.states(run)[task] == "failed"
            log = dag.log(run, task)
            assert "the scheduler does not keep the Airflow pools `currents` and `currents_backfill`" in log
            assert "install the package currents-export there" in log

        export.put(HOUR)
        refused(export.dag, "discover")
        # A pool that nobody keeps is no better: its tasks could exceed the budget.
        export.stage.scheduler.ask("POST", "pools", name="currents", slots=4)
        refused(redrive(export), "select", connector="pooled")
        assert export.accepted() == []


def test_a_pool_that_is_deleted_under_a_run_is_made_again_by_the_next_of_any(migrated: Path, tmp_path: Path) -> None:
    with running(migrated, tmp_path, None) as export:
        # Enough small files for a shard of each event type, which take a while, and one slot.
        for number in range(130):
            for file in make_files([HOUR], TYPES, rows=20, prefix="pooled/", first=number):
                export.put_object(file.key, file.body)
        run = export.dag.trigger(hour=HOUR)
        wait_for(400, lambda: "running" in states(export, run))
        export.stage.scheduler.ask("DELETE", "pools/currents")
        assert sorted(states(export, run)) == ["running", "scheduled"]
        assert redrive(export).run(connector="pooled", hour=HOUR)[1] == "success"
        assert export.stage.scheduler.ask("GET", "pools/currents")["slots"] == 1
        assert export.dag.ended(run, 600) == "success"
        assert len(export.accepted()) == 130 * 20 * len(TYPES)


def states(export: Export, run: str) -> list[str]:
    """The states of the tasks that deliver."""
    return [task["state"] for task in export.dag.shards(run)]
