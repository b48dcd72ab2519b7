from __future__ import annotations

import json
import time
from typing import Any

import pytest

from currents_aws.event_log import EventLog
from currents_core.errors import SetupError
from tests.tools.local_aws import LocalAws

SOURCE = "braze.currents"


@pytest.fixture
def log(aws: LocalAws, bus: str) -> EventLog:
    return EventLog(aws.client("events"), aws.client("logs"), f"arn:aws:events:us-east-1:123456789012:event-bus/{bus}")


def groups(log: EventLog) -> list[Any]:
    return list(log.logs.describe_log_groups(logGroupNamePrefix=log.group)["logGroups"])


def test_events_of_the_bus_are_written_to_its_log_group(log: EventLog, bus: str) -> None:
    for _ in range(2):
        log.turn_on(SOURCE)
    [group] = groups(log)
    assert (group["logGroupName"], group["retentionInDays"]) == (f"/aws/events/{bus}", 3)
    entry = {"EventBusName": bus, "DetailType": "t", "Detail": "{}"}
    log.events.put_events(Entries=[{**entry, "Source": SOURCE}, {**entry, "Source": "other"}])  # type: ignore[typeddict-item]
    found: list[Any] = []
    deadline = time.monotonic() + 10
    while not found and time.monotonic() < deadline:
        found = log.logs.filter_log_events(logGroupName=log.group)["events"]
    assert [json.loads(each["message"])["source"] for each in found] == [SOURCE]


def test_the_log_of_one_connector_does_not_end_that_of_another_on_the_same_bus(log: EventLog, bus: str) -> None:
    for source in (SOURCE, "other"):
        log.turn_on(source)
    patterns = [each["EventPattern"] for each in log.events.list_rules(EventBusName=bus)["Rules"]]
    assert sorted(json.loads(each)["source"] for each in patterns) == sorted([[SOURCE], ["other"]])


def test_eventbridge_may_write_there(log: EventLog) -> None:
    log.turn_on(SOURCE)
    policies = {each["policyName"]: each for each in log.logs.describe_resource_policies()["resourcePolicies"]}
    [statement] = json.loads(policies["currents-events-to-logs"]["policyDocument"])["Statement"]
    assert statement["Resource"] == "arn:aws:logs:us-east-1:123456789012:log-group:/aws/events/*:*"
    assert "events.amazonaws.com" in statement["Principal"]["Service"]


def test_how_long_the_group_keeps_events_stays_as_somebody_chose(log: EventLog) -> None:
    log.logs.create_log_group(logGroupName=log.group)
    log.logs.put_retention_policy(logGroupName=log.group, retentionInDays=30)
    log.turn_on(SOURCE)
    assert groups(log)[0]["retentionInDays"] == 30


def test_a_target_that_is_refused_is_told_of(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = {"TargetId": "log", "ErrorCode": "LimitExceededException", "ErrorMessage": "Too many."}
    monkeypatch.setattr(log.events, "put_targets", lambda **_: {"FailedEntryCount": 1, "FailedEntries": [failed]})
    with pytest.raises(SetupError, match=r"its target was refused: LimitExceededException: Too many.; correct that"):
        log.turn_on(SOURCE)
