from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from currents_core.errors import SetupError
from currents_core.setup.settings import Connector
from tests.tools.connecting import Connecting
from tests.tools.local_aws import LocalAws

THEIRS = "arn:aws:events:us-east-1:210987654321:event-bus/theirs"


def connecting(name: str, **changes: Any) -> Connecting:
    return Connecting(
        Connector.model_validate(
            {
                "name": "orders",
                "source": {"bucket": "braze", "prefix": "in", "aws_conn_id": None},
                "destination": {"kind": "event_bus", "name": name, "region": "us-east-1", "aws_conn_id": None},
                "state": {"bucket": "state", "aws_conn_id": None},
                **changes,
            }
        )
    )


@pytest.fixture
def name(aws: LocalAws) -> str:
    """The name of a bus that is not there yet; short enough for an archive to have it too."""
    return f"bus-{uuid.uuid4()}"


def test_all_of_it_is_set_up_and_a_rerun_changes_nothing(aws: LocalAws, name: str) -> None:
    asked = {"archive_days": 7, "log_events": True, "discover_schemas": True}
    run, events = connecting(name), aws.client("events")
    for _ in range(2):
        run.run(**asked)
    assert events.describe_archive(ArchiveName=name)["RetentionDays"] == 7
    [rule] = [
        each
        for each in events.list_rules(EventBusName=name)["Rules"]
        if each["Name"].startswith("currents-log-events-")
    ]
    assert json.loads(rule["EventPattern"]) == {"source": ["braze.currents"]}
    arn = events.describe_event_bus(Name=name)["Arn"]
    assert len(aws.client("schemas").list_discoverers(SourceArnPrefix=arn)["Discoverers"]) == 1
    log: Any = run.dag.get_task("log")
    assert set(log.addresses) == {"Event bus", "Log group"}


def test_what_was_not_asked_for_is_said_and_left(aws: LocalAws, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = connecting(name)
    run.run()
    told = capsys.readouterr().out
    for what in ("an archive", "a log of events", "schema discovery", "publishing schemas"):
        assert f"orders: {what} was not asked for in the form" in told
    assert aws.client("events").list_archives(NamePrefix=name)["Archives"] == []


def test_two_at_once_make_one_of_each(aws: LocalAws, name: str) -> None:
    # Airflow keeps the DAG that is being built for the whole process, so no thread may build one beside another.
    runs = [connecting(name) for _ in range(4)]
    with ThreadPoolExecutor() as threads:
        arns = set(threads.map(lambda run: run.step("create"), runs))
    assert arns == {aws.client("events").describe_event_bus(Name=name)["Arn"]}


@pytest.mark.parametrize("step", ["create", "archive", "log", "discover"])
def test_a_bus_that_is_missing_and_not_to_be_created_is_told_of(name: str, step: str) -> None:
    asked = {"create_bus": False, "archive_days": 1, "log_events": True, "discover_schemas": True}
    with pytest.raises(SetupError, match=f"there is no bus {name} in the connection's account; "):
        connecting(name).step(step, **asked)


@pytest.mark.parametrize("step", ["create", "archive", "log", "discover"])
def test_a_bus_of_another_account_is_not_set_up_from_here(aws: LocalAws, step: str) -> None:
    asked = {"archive_days": 1, "log_events": True, "discover_schemas": True}
    with pytest.raises(
        SetupError, match="it belongs to account 210987654321, and the Airflow connection to 1234567890"
    ):
        connecting(THEIRS).step(step, **asked)


def test_a_connection_that_does_not_exist_is_told_of(name: str) -> None:
    run = connecting(name, destination={"kind": "event_bus", "name": name, "region": "us-east-1", "aws_conn_id": "x"})
    with pytest.raises(SetupError, match=r"destination\.aws_conn_id: there is no Airflow connection x"):
        run.step("create")


def test_what_an_export_would_meet_is_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = connecting(name)
    with pytest.raises(SetupError, match=f"event bus {name} in us-east-1: lookup failed: ResourceNotFoundException"):
        run.step("check")
    run.step("create")
    capsys.readouterr()
    run.step("check")
    told = capsys.readouterr().out
    for line in (
        "identity: ",
        f"bus: arn:aws:events:us-east-1:123456789012:event-bus/{name}",
        "permission: ",
        "quota: ",
    ):
        assert line in told
