"""The connect DAGs, run by Airflow against local AWS, and exports to what they set up."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from typing import Any

import pytest
import yaml

from tests.dags.conftest import Airflow
from tests.tools.sample import make_files

pytestmark = pytest.mark.slow

HOUR, ACCOUNT = "2026-06-02-08", "123456789012"
TYPES = ["users.behaviors.Purchase"]


def connector(airflow: Airflow, **destination: Any) -> None:
    """Writes the connectors file: one connector, `test`, with this destination."""
    told = {
        "name": "test",
        "source": {"bucket": airflow.bucket, "prefix": "in"},
        "destination": {"region": "us-east-1", **destination},
        "state": {"bucket": airflow.bucket, "prefix": "state"},
        "budget": {"entries_per_second": 1_000},
    }
    (airflow.home / "connectors.yaml").write_text(yaml.safe_dump({"connectors": [told]}))


def connect(airflow: Airflow, **params: Any) -> subprocess.CompletedProcess[str]:
    """Runs the connect DAG; ``params`` fill in its form."""
    return airflow.run("dags", "test", "currents_connect_test", "--conf", json.dumps(params))


def exported(airflow: Airflow) -> int:
    """Exports an hour and returns how many events went."""
    for file in make_files([HOUR], TYPES, rows=20, prefix="in/"):
        airflow.put(file.key, file.body)
    run = airflow.export(HOUR)
    assert run.returncode == 0, run.stdout
    return int(airflow.manifest(HOUR)["totals"]["sent"])


def skipped(run: subprocess.CompletedProcess[str]) -> bool:
    return "skipped" in run.stdout.lower()


def test_an_event_bus_is_set_up_and_takes_an_export(airflow: Airflow) -> None:
    name = f"{airflow.bus}-2"
    connector(airflow, kind="event_bus", name=name)
    run = connect(airflow, archive_days=7, log_events=True, discover_schemas=True, publish_schemas=True)
    assert run.returncode == 0, run.stdout
    assert not skipped(run)
    assert airflow.aws.client("events").describe_archive(ArchiveName=name)["RetentionDays"] == 7
    assert exported(airflow) == 20
    events = airflow.aws.client("logs").filter_log_events(logGroupName=f"/aws/events/{name}")["events"]
    assert len(events) == 20
    again = connect(airflow)
    assert again.returncode == 0, again.stdout
    assert not skipped(again)


def test_a_custom_bus_is_set_up_and_takes_an_export(airflow: Airflow) -> None:
    connector(airflow, kind="custom_bus", name=airflow.bucket)
    run = connect(airflow, retention_days=30)
    assert run.returncode == 0, run.stdout
    assert "aws eventsv2 create-subscriber" in run.stdout
    assert exported(airflow) == 20


@pytest.fixture
def partner(airflow: Airflow) -> str:
    """The name of a source that is not offered yet."""
    airflow.aws.register_partner()
    connector(airflow, kind="partner_source", account=ACCOUNT, partner_name=airflow.bucket)
    return f"aws.partner/{airflow.bucket}/test/{ACCOUNT}"


def test_a_partner_source_is_offered_waited_for_and_takes_an_export(airflow: Airflow, partner: str) -> None:
    events = airflow.aws.client("events")

    def accept() -> None:
        """The customer, who finds the source after a while."""
        while not events.list_event_sources(NamePrefix=partner)["EventSources"]:
            time.sleep(0.5)
        # The task that tells what to press has run by then.
        time.sleep(20)
        events.create_event_bus(Name=partner, EventSourceName=partner)

    customer = threading.Thread(target=accept)
    customer.start()
    run = connect(airflow)
    customer.join()
    assert run.returncode == 0, run.stdout
    assert not skipped(run)
    assert f"{partner} is PENDING: EventBridge drops its events" in run.stdout
    assert 'press "Associate with event bus"' in run.stdout
    assert f"{partner} is ACTIVE" in run.stdout
    assert exported(airflow) == 20


def test_an_account_that_is_no_partner_is_told_in_one_line(airflow: Airflow, partner: str) -> None:
    airflow.aws.register_partner(is_partner=False)
    run = connect(airflow)
    assert run.returncode != 0
    [line, *_] = [
        line for line in run.stdout.splitlines() if "only an account that AWS registered as a partner" in line
    ]
    assert partner in line
    assert "up_for_retry" not in run.stdout.lower()
