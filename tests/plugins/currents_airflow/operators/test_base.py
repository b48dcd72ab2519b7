from __future__ import annotations

from contextlib import suppress
from logging import INFO, WARNING
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from botocore.exceptions import ClientError

from currents_airflow.operators.base import CurrentsOperator
from currents_airflow.operators.discover import CurrentsDiscoverOperator
from currents_airflow.parts import RunParts
from currents_core.errors import SetupError
from currents_core.setup.run_request import redrive_request, run_request
from currents_core.setup.settings import Connector
from tests.tools.local_aws import LocalAws

HOUR = "2026-11-23-08"
CONNECTORS = """
connectors:
  - name: orders
    source: {bucket: braze, prefix: in}
    destination: {kind: event_bus, name: bus, region: us-east-1, aws_conn_id: ours}
    state: {bucket: state}
  - name: deduplicated
    source: {bucket: braze, prefix: in}
    destination: {kind: custom_bus, name: "%s", region: us-east-1, aws_conn_id: ours}
    state: {bucket: state}
    budget: {entries_per_second: 100}
"""
CUSTOM = "arn:aws:events:us-east-1:123456789012:event-busv2/orders/abcdefghijklmnopqrstuvwxy"


@pytest.fixture(autouse=True)
def connectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "connectors.yaml"
    path.write_text(CONNECTORS % CUSTOM)
    monkeypatch.setenv("CURRENTS_CONNECTORS", str(path))


def test_the_fields_are_templated_that_the_amazon_provider_templates() -> None:
    assert set(aws_template_fields("connector")) == set(CurrentsOperator.template_fields)


def test_a_task_may_have_a_bus_of_its_own() -> None:
    told = CurrentsDiscoverOperator(task_id="t", connector="orders", aws_conn_id="theirs", region_name="eu-west-1")
    assert told.settings().destination.region == "eu-west-1"
    assert told.settings().destination.aws_conn_id == "theirs"
    assert told.settings().source.aws_conn_id == "aws_default"
    untold = CurrentsDiscoverOperator(task_id="t", connector="orders", aws_conn_id="")
    assert (untold.settings().destination.region, untold.settings().destination.aws_conn_id) == ("us-east-1", "ours")


@pytest.mark.parametrize(("verify", "used"), [(None, True), (False, False), ("/certificates.pem", "/certificates.pem")])
def test_the_client_of_the_bus_verifies_as_it_is_told(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch, verify: bool | str | None, used: bool | str
) -> None:
    for conn_id in ("THEIRS", "AWS_DEFAULT"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id}", "aws://")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    settings = CurrentsDiscoverOperator(task_id="t", connector="orders", aws_conn_id="theirs").settings()
    parts = RunParts(settings, run_request({}, "2026-11-23-08", settings), "run", verify)
    bus: Any = parts.bus
    assert bus._client._endpoint.http_session._verify == used


@pytest.fixture
def custom(monkeypatch: pytest.MonkeyPatch) -> Connector:
    for conn_id in ("OURS", "AWS_DEFAULT"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id}", "aws://")
    return CurrentsDiscoverOperator(task_id="t", connector="deduplicated").settings()


def ids_of(parts: RunParts) -> list[str]:
    """The ids by which a bus would know an event that the run sends."""
    bus: Any = parts.bus
    return list(bus.wire.deduplication_ids("t", pa.array(["1"])).to_pylist())


def test_what_a_run_sends_again_on_purpose_differs_from_what_was_sent(aws: LocalAws, custom: Connector) -> None:
    live = run_request({}, HOUR, custom)
    replay = run_request({"replay": True, "reason": "lost"}, HOUR, custom)
    redrive = redrive_request({"connector": "deduplicated", "hour": HOUR}, HOUR)
    assert ids_of(RunParts(custom, live, "a")) == ids_of(RunParts(custom, live, "b"))
    for request in (replay, redrive):
        found = ids_of(RunParts(custom, request, "a"))
        assert found == ids_of(RunParts(custom, request, "a")), "its retries"
        assert found != ids_of(RunParts(custom, live, "a"))
        # What another redrive got through, whose letters it could not take back, arrives once.
        assert (found == ids_of(RunParts(custom, request, "b"))) == request.is_redrive


def test_a_role_that_can_not_be_assumed_is_one_line(
    aws: LocalAws, custom: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, "AssumeRole")

    monkeypatch.setattr(AwsBaseHook, "get_client_type", refused)
    with pytest.raises(SetupError, match=r"^Airflow connection ours: no credentials: AccessDenied: not you; grant"):
        _ = RunParts(custom, run_request({}, HOUR, custom), "run").bus


@pytest.mark.parametrize(("run_type", "tried"), [("manual", ["permission"]), ("scheduled", []), ("backfill", [])])
def test_each_finding_is_a_line_of_the_log(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch, run_type: str, tried: list[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OURS", "aws://")
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    events = aws.client("events")
    with suppress(events.exceptions.ResourceAlreadyExistsException):
        events.create_event_bus(Name="bus")
    aws.set_quota(1)
    told: list[tuple[int, str]] = []
    operator = CurrentsDiscoverOperator(task_id="t", connector="orders")
    monkeypatch.setattr(operator.log, "log", lambda level, text, *values: told.append((level, text % values)))
    settings = operator.settings()
    context: Any = {"dag_run": SimpleNamespace(run_type=run_type)}
    operator.check(context, RunParts(settings, run_request({}, HOUR, settings), "run"))
    assert [line.partition(":")[0] for _, line in told] == ["identity", "bus", *tried, "quota"]
    assert [level for level, _ in told] == [INFO, INFO, *([INFO] * len(tried)), WARNING]
    assert "from Airflow connection ours" in told[0][1]


def test_a_page_that_nobody_knows_has_no_link(custom: Connector) -> None:
    assert set(RunParts(custom, run_request({}, HOUR, custom), "run").addresses()) == {"Deliveries", "Source files"}
