"""What Airflow adds to a run: hours as a backfill, the same number of hours as one stretch, and an hour without files.

It is the cluster of docker-compose.yaml as processes of this machine, with one worker; the destination is local AWS.
CPU is that of all processes of the cluster, less what they take while nothing runs.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from currents_core.hour import format_hour
from tests.tools.awaiting import wait_for
from tests.tools.cluster import Cluster, cluster
from tests.tools.fault_plan import FaultPlan
from tests.tools.local_aws import LocalAws, local_aws
from tests.tools.sample import make_files
from tests.tools.scheduler import ENDED, RunningDag, quiet_schedule

NAME, BUCKET, BUS = "scale", "braze", "events"
TYPES = ("users.messages.email.Click", "users.messages.email.Open", "users.messages.email.Send")
ROWS = 20
# Before the window of scheduled runs, so that these have nothing to do.
DAYS_BACK = 20
REST_SECONDS = 20.0


@dataclass(frozen=True)
class Cost:
    """What some runs took together: seconds, seconds of CPU beyond those of a cluster at rest, and tasks."""

    runs: int
    seconds: float
    cpu: float
    tasks: int


@dataclass(frozen=True)
class Costs:
    """Of so many hours as runs of a backfill, of as many as one run by hand, and of one hour without files.

    ``rest`` are the seconds of CPU that a second costs in which nothing runs.
    """

    hours: int
    backfill: Cost
    stretch: Cost
    empty: Cost
    rest: float


def measure(hours: int, timeout: float) -> Costs:
    """Starts a cluster, makes the runs, and stops it. Raises AssertionError where a run fails or takes too long."""
    with local_aws() as aws, tempfile.TemporaryDirectory(prefix="currents-scale-") as folder:
        first = datetime.now(UTC) - timedelta(days=DAYS_BACK)
        both = [format_hour(first + timedelta(hours=number)) for number in range(2 * hours)]
        path = Path(folder) / "connectors.yaml"
        path.write_text(yaml.safe_dump({"connectors": [_connector(aws, both)]}))
        environment = {**aws.environment(), "CURRENTS_CONNECTORS": str(path), "AIRFLOW_PARALLELISM": "16"}
        dag = f"currents_export_{NAME}"
        with cluster(environment, workers=1, dag=dag) as running, running.client() as client:
            runs = _Runs(running, RunningDag(running.scheduler(client), dag), timeout)
            runs.begin()
            return Costs(
                hours,
                backfill=runs.cost(lambda: runs.backfill(both[:hours])),
                stretch=runs.cost(lambda: [runs.by_hand(hour=both[hours], until=both[-1])]),
                empty=runs.cost(lambda: [runs.by_hand(hour=format_hour(first - timedelta(days=1)))]),
                rest=runs.rest,
            )


@dataclass
class _Runs:
    running: Cluster
    dag: RunningDag
    timeout: float
    rest: float = 0.0

    def begin(self) -> None:
        """Lets the run of the last hour end, which Airflow starts by itself; then sees what a cluster takes at rest."""
        self.dag.switch_on()
        self._wait_for(self._is_through)
        before, began = self._cpu(), time.monotonic()
        time.sleep(REST_SECONDS)
        self.rest = (self._cpu() - before) / (time.monotonic() - began)

    def cost(self, play: Callable[[], Sequence[str]]) -> Cost:
        """What runs cost, of which ``play`` returns the ids."""
        before, began = self._cpu(), time.monotonic()
        runs = play()
        seconds = time.monotonic() - began
        cpu = self._cpu() - before - self.rest * seconds
        return Cost(len(runs), seconds, cpu, sum(len(self.dag.tasks(run)) for run in runs))

    def backfill(self, hours: Sequence[str]) -> list[str]:
        """Backfills hours."""
        after = datetime.strptime(hours[-1], "%Y-%m-%d-%H") + timedelta(hours=1)  # noqa: DTZ007 - Airflow is told UTC
        self.dag.start_backfill(f"{hours[0][:10]}T{hours[0][11:]}", f"{after:%Y-%m-%dT%H}")

        def ended() -> list[dict[str, Any]]:
            found = self.dag.runs("backfill")
            return found if found and all(run["state"] in ENDED for run in found) else []

        found = self._wait_for(ended)
        assert [run["state"] for run in found] == ["success"] * len(hours), "a run of the backfill failed"
        return [run["dag_run_id"] for run in found]

    def by_hand(self, **fields: str) -> str:
        """Runs hours by hand."""
        run = self.dag.trigger(**fields)
        state = self._wait_for(lambda: (now := self.dag.ask("GET", f"/dagRuns/{run}")["state"]) in ENDED and now)
        assert state == "success", f"the run of {fields} ended as {state}"
        return run

    def _wait_for(self, condition: Callable[[], Any]) -> Any:
        """What the condition gives, once it is something. An API server that is busy is asked again."""

        def given() -> Any:
            with suppress(httpx.TransportError):
                return condition()
            return None

        return wait_for(self.timeout, given)

    def _is_through(self) -> bool:
        runs = self.dag.runs("scheduled")
        return bool(runs) and all(run["state"] in ENDED for run in runs)

    def _cpu(self) -> float:
        """Seconds of CPU that the cluster has used so far, those of processes that ended among them."""
        return sum(_used(process) for process in self.running.processes())


def _used(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def _connector(aws: LocalAws, hours: Sequence[str]) -> dict[str, Any]:
    """Puts small files into the hours, makes a bus, and returns the settings of a connector of them."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    aws.client("events").create_event_bus(Name=BUS)
    for file in make_files(hours, TYPES, rows=ROWS, prefix="in/"):
        s3.put_object(Bucket=BUCKET, Key=file.key, Body=file.body)
    # Accepted is enough: no rule has to match.
    aws.set_faults(FaultPlan(hold=True))
    return {
        "name": NAME,
        "source": {"bucket": BUCKET, "prefix": "in/"},
        "destination": {"kind": "event_bus", "name": BUS, "region": "us-east-1"},
        "state": {"bucket": BUCKET, "prefix": "state/"},
        "schedule": quiet_schedule(),
    }
