from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields

from currents_airflow.operators.base import CurrentsOperator
from currents_airflow.operators.discover import CurrentsDiscoverOperator
from currents_airflow.parts import RunParts
from currents_core.setup.run_request import run_request
from tests.tools.local_aws import LocalAws

CONNECTORS = """
connectors:
  - name: orders
    source: {bucket: braze, prefix: in}
    destination: {kind: event_bus, name: bus, region: us-east-1, aws_conn_id: ours}
    state: {bucket: state}
"""


@pytest.fixture(autouse=True)
def connectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "connectors.yaml"
    path.write_text(CONNECTORS)
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
