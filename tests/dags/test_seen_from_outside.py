"""What a run tells others: metrics, assets, lineage, notices and links, each received for real."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from currents_core.hour import format_hour
from tests.dags.stage import HOUR, TYPES, Export, Stage
from tests.tools.airflow_env import ROOT
from tests.tools.awaiting import wait_for
from tests.tools.fault_plan import FaultPlan
from tests.tools.local_aws import local_aws
from tests.tools.sample import make_files
from tests.tools.scheduler import RunningDag, quiet_schedule, scheduler

CONSUMER = """
from airflow.sdk import Asset, IdentityMapper, PartitionedAssetTimetable, dag, task

hours = Asset("currents_seen")


@dag(schedule=PartitionedAssetTimetable(assets=hours, default_partition_mapper=IdentityMapper()))
def consumer():
    @task
    def take(dag_run=None):
        print("took the hour", dag_run.partition_key)

    take()


consumer()
"""
FOLDER = "seen/dataexport.prod-01.S3.integration.5f1a0c/event_type={}"


@dataclass
class Statsd:
    """A StatsD server: what arrives, line by line."""

    port: int
    lines: list[str] = field(default_factory=list)

    def sums(self) -> dict[str, int]:
        """The counters of connectors, summed up."""
        found: dict[str, int] = {}
        for line in list(self.lines):
            name, _, rest = line.partition(":")
            value, kind = rest.split("|")[:2]
            if name.startswith("airflow.currents.") and kind == "c":
                name = name.removeprefix("airflow.currents.")
                found[name] = found.get(name, 0) + int(value)
        return found


@pytest.fixture(scope="module")
def statsd() -> Iterator[Statsd]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        found = Statsd(server.getsockname()[1])

        def receive() -> None:
            while data := server.recv(65_536):
                found.lines += data.decode().splitlines()

        thread = threading.Thread(target=receive, daemon=True)
        thread.start()
        yield found
        server.sendto(b"", server.getsockname())
        thread.join()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seen")


@pytest.fixture(scope="module")
def export(migrated: Path, home: Path, statsd: Statsd) -> Iterator[Export]:
    shutil.copy(migrated, home / "airflow.db")
    shutil.copytree(ROOT / "dags", home / "dags")
    (home / "dags" / "consumer.py").write_text(CONSUMER)
    (home / "lineage").mkdir()
    with local_aws() as aws:
        bucket, bus = f"bucket-{uuid.uuid4()}", "events"
        aws.client("s3").create_bucket(Bucket=bucket)
        aws.client("events").create_event_bus(Name=bus)

        def notice(text: str) -> list[dict[str, Any]]:
            arguments = {"path": str(home / "notices"), "text": text}
            return [{"notifier": "tests.dags.notifier.FileNotifier", "arguments": arguments}]

        schedule = quiet_schedule()
        connector = {
            "name": "seen",
            "source": {"bucket": bucket, "prefix": "seen"},
            "destination": {"kind": "event_bus", "name": bus, "region": "us-east-1"},
            "state": {"bucket": bucket, "prefix": "state"},
            "schedule": schedule,
            "notify": {
                "on_failure": notice("{{ dag.dag_id }} failed"),
                "on_missed_deadline": notice("{{ dag_run.dag_id }} {{ dag_run.partition_key }} is late"),
                # The last hour was due before that, and runs only once the DAG is switched on.
                "deadline_minutes": schedule["delay_minutes"] + 1,
            },
        }
        environment = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__METRICS__STATSD_ON": "true",
            "AIRFLOW__METRICS__STATSD_PORT": str(statsd.port),
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                {"type": "file", "log_file_path": str(home / "lineage" / "event")}
            ),
        }
        with scheduler(home, aws, [connector], environment=environment) as running:
            yield Export(Stage(aws, bucket, running), "seen")


pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]


def test_an_hour_that_is_delivered_is_told_of(export: Export, statsd: Statsd, home: Path) -> None:
    consumer = RunningDag(export.stage.scheduler, "consumer")
    consumer.switch_on()
    export.dag.switch_on()
    events = export.put(HOUR)

    run, state = export.dag.run(hour=HOUR, dry_run=True)
    assert state == "success"
    run, state = export.dag.run(hour=HOUR)
    assert state == "success"

    def consumed() -> list[str]:
        return [each["partition_key"] for each in consumer.runs("asset_triggered")]

    wait_for(400, lambda: HOUR in consumed())
    _, state = export.dag.run(hour=HOUR)
    assert state == "success"
    export.put(HOUR, first=5)
    _, state = export.dag.run(hour=HOUR)
    assert state == "success"
    wait_for(400, lambda: consumed().count(HOUR) == 2)
    assert consumed().count(HOUR) == 2, "neither a dry run nor an hour that brought nothing new is told of"

    sums = wait_for(400, lambda: (found := statsd.sums()).get("seen.events_sent", 0) > events and found)
    assert sums["seen.events_sent"] == len(export.accepted())
    assert sums["seen.files_found"] == 2 * len(TYPES) + len(TYPES), "of the dry run, too"
    assert sums["seen.requests"] >= 1
    assert any(line.startswith("airflow.currents.seen.files_open:0|g") for line in statsd.lines)

    lineage = [json.loads(each.read_text()) for each in (home / "lineage").iterdir()]
    inputs = {(each["namespace"], each["name"]) for event in lineage for each in event.get("inputs", ())}
    outputs = {(each["namespace"], each["name"]) for event in lineage for each in event.get("outputs", ())}
    assert inputs == {(f"s3://{export.stage.bucket}", FOLDER.format(each)) for each in TYPES}
    assert outputs == {("eventbridge://us-east-1", "event-bus/events")}

    def links(task: str, map_index: int = -1) -> dict[str, str]:
        path = f"/dagRuns/{run}/taskInstances/{task}/links?map_index={map_index}"
        return dict(export.dag.ask("GET", path)["extra_links"])

    assert links("deliver", 0)["Source files"].endswith(
        f"/s3/buckets/{export.stage.bucket}?prefix=seen%2Fdataexport.prod-01.S3.integration.5f1a0c%2F"
    )
    assert links("deliver", 0)["Event bus"].endswith("#/eventbus/events")
    assert links("reconcile")["Hour manifest"].endswith(f"manifests%2Fdate%3D{HOUR}.json")


def test_who_wants_to_know_is_told_of_failures_and_of_hours_that_are_late(export: Export, home: Path) -> None:
    export.dag.switch_on()
    notices = home / "notices"

    def told() -> list[str]:
        return notices.read_text().splitlines() if notices.exists() else []

    # The last hour runs by itself, and its deadline is over by then.
    hours = [format_hour(datetime.now(UTC) - timedelta(hours=back)) for back in (1, 2)]
    late = [f"{export.dag.name} {hour} is late" for hour in hours]
    wait_for(400, lambda: any(line in told() for line in late))
    assert f"{export.dag.name} failed" not in told()

    [file] = make_files(["2026-06-02-01"], TYPES[:1], rows=5, prefix="seen/")
    export.put_object(file.key, file.body)
    export.stage.aws.set_faults(FaultPlan(denied_detail_type=TYPES[0]))
    _, state = export.dag.run(hour="2026-06-02-01")
    assert state == "failed"
    wait_for(400, lambda: f"{export.dag.name} failed" in told())
    assert len([line for line in told() if "is late" in line]) == 1, "nobody waits for what is run by hand"
