"""A task whose supervisor is killed, as the kernel does when memory is short, and its next try."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import psutil
import pytest

from tests.dags.stage import HOUR, TYPES, Export, Stage, set_up
from tests.tools.awaiting import wait_for
from tests.tools.fault_plan import FaultPlan
from tests.tools.local_aws import local_aws
from tests.tools.processes import is_alive
from tests.tools.sample import make_files
from tests.tools.scheduler import scheduler

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1_800)]

# Airflow waits five minutes by default before it takes a task for dead.
SOON_DEAD = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
}
ROWS = 1_500


@pytest.mark.parametrize("behind", [0.0, 6.0], ids=["", "of a busy destination"])
def test_a_task_whose_supervisor_is_killed_sends_no_more_and_its_next_try_sends_the_rest(
    migrated: Path, tmp_path: Path, behind: float
) -> None:
    """``behind`` is how many seconds late the destination answers; it accepts at once."""
    shutil.copy(migrated, tmp_path / "airflow.db")
    with local_aws() as aws:
        bucket, connectors = set_up(aws, {"orphaned": {"budget": {"requests_per_second": 6}}})
        with scheduler(tmp_path, aws, connectors, environment=SOON_DEAD) as running:
            export = Export(Stage(aws, bucket, running), "orphaned")
            for file in make_files([HOUR], TYPES[:1], rows=ROWS, prefix="orphaned/"):
                export.put_object(file.key, file.body)
            export.dag.switch_on()
            run = export.dag.trigger(hour=HOUR)
            aws.set_faults(FaultPlan(slow=1.0 if behind else 0.0, slow_seconds=behind))
            wait_for(400, lambda: len(export.accepted()) > 100)
            [shard] = export.dag.shards(run)
            task = int(shard["pid"])
            psutil.Process(psutil.Process(task).ppid()).kill()
            killed = time.monotonic()
            wait_for(28, lambda: not is_alive(task))
            time.sleep(max(0.0, killed + 3 - time.monotonic()))
            aws.set_faults(FaultPlan())
            sent = len(export.accepted())
            assert sent < ROWS
            time.sleep(5)
            assert len(export.accepted()) == sent
            assert export.dag.ended(run, 600) == "success"
            [shard] = export.dag.shards(run)
            assert shard["try_number"] == 2
            log = export.dag.log(run, "deliver", 2, map_index=0)
            assert f"resumes where it left off, skipping {sent:,} rows already sent" in log
            assert set(export.ids().values()) == {1}
            assert len(export.ids()) == ROWS
