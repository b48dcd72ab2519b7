from __future__ import annotations

import uuid
from typing import Any

import pytest

from currents_core.errors import DeliveryError, SetupError
from currents_core.setup.settings import Connector
from tests.tools.connecting import Connecting
from tests.tools.fault_plan import FaultPlan
from tests.tools.local_aws import LocalAws

ACCOUNT = "123456789012"
OPEN, CLICK = "users.messages.email.Open", "users.messages.email.Click"


def connecting(destination: dict[str, Any]) -> Connecting:
    return Connecting(
        Connector.model_validate(
            {
                "name": "orders",
                "source": {"bucket": "braze", "prefix": "in", "aws_conn_id": None},
                "destination": {"region": "us-east-1", "aws_conn_id": None, **destination},
                "state": {"bucket": "state", "aws_conn_id": None},
                "budget": {"entries_per_second": 1_000},
            }
        )
    )


@pytest.fixture
def run() -> Connecting:
    """For a classic bus that is not there yet."""
    return connecting({"kind": "event_bus", "name": f"bus-{uuid.uuid4()}"})


def types_of(aws: LocalAws) -> list[str]:
    """The event types that were accepted since the last reset."""
    return [entry["DetailType"] for entry in aws.accepted()]


def test_test_events_of_the_types_that_are_asked_for_are_seen_in_the_log_group(
    aws: LocalAws, run: Connecting, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.reset()
    run.run(log_events=True, test_events=[CLICK, "users.messages.email.O*"])
    assert sorted(types_of(aws)) == [CLICK, OPEN]
    told = capsys.readouterr().out
    for each in (CLICK, OPEN):
        assert f"{each}: accepted, and arrived in log group /aws/events/{run.connector.destination_name}" in told


def test_nothing_is_sent_where_nothing_was_asked_for(
    aws: LocalAws, run: Connecting, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.reset()
    run.run()
    assert types_of(aws) == []
    told = capsys.readouterr().out
    assert "orders: exports can begin; turn the DAG currents_export_orders on" in told
    assert "orders: no test events were asked for in the form" in told


def test_an_event_type_that_is_not_exported_is_told_before_anything_is_sent(aws: LocalAws, run: Connecting) -> None:
    aws.reset()
    run.step("create")
    with pytest.raises(SetupError, match=rf"exports no event type {OPEN}s; .*did you mean {OPEN}"):
        run.step("test", test_events=[CLICK, f"{OPEN}s"])
    with pytest.raises(SetupError, match="`test_events`: a pattern has a bracket"):
        run.step("test", test_events=["users.["])
    assert types_of(aws) == []


def test_a_refused_event_fails_the_step(aws: LocalAws, run: Connecting, capsys: pytest.CaptureFixture[str]) -> None:
    run.step("create")
    aws.set_faults(FaultPlan(entry_refusal=1.0))
    try:
        with pytest.raises(DeliveryError, match="orders: 1 of 1 test events were refused; see the log"):
            run.step("test", test_events=[OPEN])
    finally:
        aws.set_faults(FaultPlan())
    assert f"{OPEN}: refused: MalformedDetail" in capsys.readouterr().out


def test_a_custom_bus_by_its_plain_name_and_a_source_of_somebody_unknown_are_tried_as_well(
    aws: LocalAws, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.reset()
    aws.register_partner()
    custom = connecting({"kind": "custom_bus", "name": f"bus-{uuid.uuid4()}"})
    custom.step("create")
    aws.forward(5)
    custom.step("test", test_events=[OPEN])
    partner = connecting({"kind": "partner_source", "account": ACCOUNT, "partner_name": f"p-{uuid.uuid4()}"})
    partner.step("create")
    name = partner.connector.destination_name
    aws.client("events").create_event_bus(Name=name, EventSourceName=name)
    partner.step("test", test_events=[OPEN])
    assert types_of(aws) == [OPEN, OPEN]
    told = capsys.readouterr().out
    assert told.count(f"{OPEN}: accepted; not confirmed") == 2
    assert "no connection to the account in which the events arrive is known" in told
