"""Whole exports to a classic bus over a global endpoint, over both transports."""

from __future__ import annotations

import json
import logging
import uuid
from typing import Any

import pytest

from currents_core.errors import SetupError
from currents_core.setup.settings import Connector
from tests.tools.aws_calls import record
from tests.tools.fault_plan import FaultPlan
from tests.tools.global_endpoints import ACCOUNT, PRIMARY, SECONDARY, bus_in_both, client_in, create_endpoint
from tests.tools.local_aws import LocalAws
from tests.tools.sample import make_files
from tests.tools.stage import put_files
from tests.tools.tasks import Tasks

HOUR = "2026-11-23-08"
EVENT_TYPES = ("users.messages.email.Open", "users.behaviors.Purchase")
# A setting that only boto3 follows, and that changes nothing without a proxy.
ONLY_BOTO3 = {"proxies_config": {"proxy_use_forwarding_for_https": False}}


@pytest.fixture
def bus(aws: LocalAws) -> str:
    return bus_in_both(aws)


def connector(aws: LocalAws, name: str, **destination: Any) -> Connector:
    buckets = [f"bucket-{uuid.uuid4()}" for _ in range(2)]
    for bucket in buckets:
        aws.client("s3").create_bucket(Bucket=bucket)
    made = Connector.model_validate(
        {
            "name": "orders",
            "source": {"bucket": buckets[0], "prefix": "currents", "aws_conn_id": None},
            "destination": {"kind": "event_bus", "name": name, "region": PRIMARY, "aws_conn_id": None, **destination},
            "state": {"bucket": buckets[1], "aws_conn_id": None},
        }
    )
    put_files(aws, made, make_files([HOUR], EVENT_TYPES, rows=100, prefix=made.source.prefix))
    return made


@pytest.mark.parametrize("only_boto3", [False, True])
def test_an_hour_its_redrive_and_its_replay_arrive_over_an_endpoint(
    aws: LocalAws, bus: str, only_boto3: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    extra = {"config_kwargs": ONLY_BOTO3} if only_boto3 else {}
    monkeypatch.setenv("AIRFLOW_CONN_BUS", json.dumps({"conn_type": "aws", "extra": extra}))
    endpoint_id = create_endpoint(aws, bus)
    tasks = Tasks(connector(aws, bus, endpoint_id=endpoint_id, aws_conn_id="bus"))
    calls = record(monkeypatch)
    aws.set_faults(FaultPlan(throttle=0.2, entry_throttle=0.1, entry_refusal=0.1))
    with caplog.at_level(logging.INFO, "currents_aws"):
        exported = tasks.export(HOUR)[HOUR]["totals"]
    assert any("sending through boto3" in each.getMessage() for each in caplog.records) == only_boto3
    aws.set_faults(FaultPlan())
    redriven = tasks.redrive(HOUR)
    assert exported["sent"] + redriven["sent"] == 200
    assert exported["dead_lettered"] == redriven["sent"] > 0
    ids = {json.loads(entry["Detail"])["id"] for entry in aws.accepted()}
    assert len(ids) == len(aws.accepted()) == 200
    assert tasks.export(HOUR, replay=True, reason="the consumer lost it")[HOUR]["totals"]["sent"] == 200
    assert aws.counts()["lost"] == 0
    assert {call.params.get("EndpointId") for call in calls if call.operation == "PutEvents"} == {endpoint_id}


def test_a_dry_run_over_an_endpoint_sends_nothing(aws: LocalAws, bus: str) -> None:
    Tasks(connector(aws, bus, endpoint_id=create_endpoint(aws, bus))).export(HOUR, dry_run=True)
    assert aws.accepted() == []


def test_an_endpoint_that_is_not_there_ends_a_run_before_anything_is_sent(aws: LocalAws, bus: str) -> None:
    tasks = Tasks(connector(aws, bus, endpoint_id="absent.veo"))
    with pytest.raises(SetupError, match=r"global endpoint absent\.veo in us-east-1: there is none of this account"):
        tasks.export(HOUR)
    assert aws.counts()["requests"] == 0


def test_settings_with_fips_are_refused_before_anything_is_sent(
    aws: LocalAws, bus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = Tasks(connector(aws, bus, endpoint_id=create_endpoint(aws, bus)))
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", aws.endpoint)
    with pytest.raises(SetupError, match=r"it can't be addressed: .*FIPS.*remove endpoint_id"):
        tasks.export(HOUR)


def test_a_bus_by_its_arn_is_in_the_region_of_the_destination(aws: LocalAws, bus: str) -> None:
    """Without an endpoint. moto has one account, so the ARN is of that."""
    client_in(aws, PRIMARY).delete_event_bus(Name=bus)
    arn = f"arn:aws:events:{SECONDARY}:{ACCOUNT}:event-bus/{bus}"
    assert Tasks(connector(aws, arn, region=SECONDARY)).export(HOUR)[HOUR]["totals"]["sent"] == 200
    assert aws.counts()["lost"] == 0
    assert {line["bus"] for line in aws.accepted_lines()} == {bus}
