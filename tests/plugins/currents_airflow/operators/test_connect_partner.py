from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from currents_airflow.operators.connect_partner import CurrentsAwaitSourceOperator
from currents_core.errors import SetupError, TransientError
from currents_core.setup.settings import Connector
from tests.tools.connecting import Connecting
from tests.tools.local_aws import LocalAws

ACCOUNT, OTHER = "123456789012", "210987654321"
DAY = 86_400


def connecting(path: Path | None = None, *, account: str = ACCOUNT, customer_conn_id: str | None = None) -> Connecting:
    """The run of a connector whose source has a name of its own, and whose notices go to a file."""
    notices = [
        {"notifier": "tests.dags.notifier.FileNotifier", "arguments": {"path": str(path), "text": "{{pending}}"}}
    ]
    return Connecting(
        Connector.model_validate(
            {
                "name": f"orders_{uuid.uuid4().hex}",
                "source": {"bucket": "braze", "prefix": "in", "aws_conn_id": None},
                "destination": {
                    "kind": "partner_source",
                    "account": account,
                    "partner_name": "braze.test",
                    "region": "us-east-1",
                    "aws_conn_id": None,
                    "customer_conn_id": customer_conn_id,
                },
                "state": {"bucket": "state", "aws_conn_id": None},
                "budget": {"entries_per_second": 100},
                "notify": {"on_pending": notices if path else []},
            }
        )
    )


@pytest.fixture(autouse=True)
def partner(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.register_partner()
    monkeypatch.setenv("AIRFLOW_CONN_THEIRS", "aws://")


def test_a_source_is_offered_and_the_customer_s_steps_are_told(
    aws: LocalAws, capsys: pytest.CaptureFixture[str]
) -> None:
    run = connecting()
    told = run.step("create")
    assert (told["name"], told["state"]) == (run.connector.destination_name, "PENDING")
    assert "it expires at" in capsys.readouterr().out
    run.step("associate")
    shown = capsys.readouterr().out
    assert f"In AWS account {ACCOUNT}, region us-east-1, somebody has to:" in shown
    assert "https://console.aws.amazon.com/events/home?region=us-east-1#/partners" in shown
    assert run.step("wait") is False
    assert "UTC; `associate` logs the customer's steps" in capsys.readouterr().out
    aws.client("events").create_event_bus(Name=told["name"], EventSourceName=told["name"])
    for step in ("wait", "associate"):
        assert run.step(step) is None
        shown = capsys.readouterr().out
        assert f"{told['name']} is ACTIVE" in shown
        assert "somebody has to" not in shown, "nothing is left to do"
    assert run.step("create")["state"] == "ACTIVE"


def test_where_there_is_a_connection_to_the_customer_all_of_it_is_done(aws: LocalAws) -> None:
    run = connecting(customer_conn_id="theirs")
    run.run(discover_schemas=True)
    run.run(discover_schemas=True)
    name = run.connector.destination_name
    assert aws.client("events").describe_event_source(Name=name)["State"] == "ACTIVE"
    bus = aws.client("events").describe_event_bus(Name=name)["Arn"]
    [discoverer] = aws.client("schemas").list_discoverers(SourceArnPrefix=bus)["Discoverers"]
    assert discoverer["State"] == "STARTED"


@pytest.mark.parametrize("customer_conn_id", [None, "theirs"])
def test_a_source_that_ends_meanwhile_is_offered_again(aws: LocalAws, customer_conn_id: str | None) -> None:
    run, events = connecting(customer_conn_id=customer_conn_id), aws.client("events")
    run.step("create")
    aws.forward(7 * DAY)
    assert run.step("wait") is (None if customer_conn_id else False)
    state = "ACTIVE" if customer_conn_id else "PENDING"
    assert events.describe_event_source(Name=run.connector.destination_name)["State"] == state


def test_a_source_that_is_pending_is_warned_of_each_day(
    aws: LocalAws, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, told = connecting(tmp_path / "told"), tmp_path / "told"
    moved = timedelta()
    monkeypatch.setattr("currents_airflow.operators.connect_partner._now", lambda: datetime.now(UTC) + moved)
    run.step("create")
    for hours, lines in ((0, 0), (23, 0), (25, 1), (26, 1), (48, 1), (50, 2)):
        moved = timedelta(hours=hours)
        assert run.step("wait") is False
        assert len(told.read_text().splitlines() if told.exists() else []) == lines, hours
    assert "is PENDING for 1 day: EventBridge drops its events until" in told.read_text().splitlines()[0]
    assert 'press "Associate with event bus"' in capsys.readouterr().out


def test_an_account_that_is_no_partner_is_told_so(aws: LocalAws) -> None:
    aws.register_partner(is_partner=False)
    with pytest.raises(SetupError, match="only an account that AWS registered as a partner can have event sources"):
        connecting().step("create")


def test_a_connection_to_another_account_is_told_of() -> None:
    run = connecting(account=OTHER, customer_conn_id="theirs")
    run.step("create")
    for step in ("associate", "wait"):
        with pytest.raises(
            SetupError, match=f"customer_conn_id is of account {ACCOUNT}, but the source is for {OTHER}"
        ):
            run.step(step)


def test_a_connection_that_does_not_exist_is_told_of() -> None:
    with pytest.raises(SetupError, match=r"destination\.customer_conn_id: there is no Airflow connection thiers; did"):
        connecting(customer_conn_id="thiers").step("create")


def test_a_name_that_another_account_has_is_told_of(aws: LocalAws) -> None:
    run = connecting()
    aws.client("events").create_partner_event_source(Name=run.connector.destination_name, Account=OTHER)
    with pytest.raises(SetupError, match=f"the name is taken by account {OTHER}, not {ACCOUNT}"):
        run.step("create")


def test_what_passes_by_itself_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bool:
        raise TransientError("ThrottlingException")

    monkeypatch.setattr(CurrentsAwaitSourceOperator, "is_there", fail)
    assert connecting().step("wait") is False


def test_a_wait_that_takes_too_long_ends_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    run = connecting()
    wait: Any = run.dag.get_task("wait")
    wait.timeout = -1
    with pytest.raises(SetupError, match="is not ACTIVE after 28 days; clear this task to go on waiting"):
        run.step("wait")
