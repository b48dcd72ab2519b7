from __future__ import annotations

import uuid
from typing import Any

import pytest

from currents_airflow.parts import RunParts
from currents_core.errors import SetupError
from currents_core.setup.run_request import run_request
from currents_core.setup.settings import Connector
from tests.tools.connecting import Connecting
from tests.tools.local_aws import LocalAws

ABSENT = "arn:aws:events:us-east-1:123456789012:event-busv2/absent/abcdefghijklmnopqrstuvwxy"
HOUR = "2026-11-23-08"


def connecting(name: str) -> Connecting:
    return Connecting(
        Connector.model_validate(
            {
                "name": "orders",
                "source": {"bucket": "braze", "prefix": "in", "aws_conn_id": None},
                "destination": {"kind": "custom_bus", "name": name, "region": "us-east-1", "aws_conn_id": None},
                "state": {"bucket": "state", "aws_conn_id": None},
                "budget": {"entries_per_second": 100},
            }
        )
    )


@pytest.fixture
def name(aws: LocalAws) -> str:
    return f"bus-{uuid.uuid4()}"


def preflight(run: Connecting) -> None:
    """What an export does first."""
    bus: Any = RunParts(run.connector, run_request({}, HOUR, run.connector), "run").bus
    try:
        bus.preflight()
    finally:
        bus.close()


def test_a_bus_is_created_and_waited_for_and_then_takes_exports(
    aws: LocalAws, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = connecting(name)
    with pytest.raises(SetupError, match=f"custom bus {name}: there is no such bus in the region; create it with"):
        preflight(run)
    arn = run.step("create", retention_days=30)
    assert run.step("wait") is False
    aws.forward(5)
    assert run.step("wait") is None
    assert f"custom bus {arn}: ACTIVE; it keeps events for 30 days" in capsys.readouterr().out
    assert run.step("create") == arn
    assert f"custom bus {arn}: it need not be created" in capsys.readouterr().out
    run.step("subscribe")
    assert f"--event-bus-arn {arn}" in capsys.readouterr().out
    preflight(run)
    assert run.connector.stream == f"s3://braze/in/ → custom_bus {name} in us-east-1"


def test_a_bus_that_is_named_by_its_arn_must_exist(aws: LocalAws, name: str) -> None:
    arn = aws.client("eventbridgev2").create_event_bus(Name=name)["EventBusArn"]
    aws.forward(5)
    connecting(arn).run()
    run = connecting(ABSENT)
    assert run.step("create") == ABSENT
    with pytest.raises(SetupError, match=r"absent/.*: lookup failed: ResourceNotFoundException: "):
        run.step("wait")


def test_a_bus_that_is_missing_and_not_to_be_created_is_told_of(name: str) -> None:
    with pytest.raises(SetupError, match=f"custom bus {name}: there is no such bus in the region"):
        connecting(name).step("create", create_bus=False)


def test_a_bus_that_vanished_is_told_of(aws: LocalAws, name: str) -> None:
    run = connecting(name)
    arn = run.step("create")
    aws.forward(5)
    aws.client("eventbridgev2").delete_event_bus(EventBusArn=arn)
    with pytest.raises(SetupError, match=r"it is DELETING \(no reason told\); create it anew, or name another"):
        run.step("wait")
    aws.forward(5)
    with pytest.raises(SetupError, match="ResourceNotFoundException"):
        run.step("wait")
    assert run.step("create") != arn
