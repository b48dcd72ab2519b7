from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from currents_airflow import notices
from currents_core.setup.settings import Connector
from tests.dags.notifier import FileNotifier

GOOD = {"notifier": "tests.dags.notifier.FileNotifier", "arguments": {"path": "/tmp/x", "text": "failed"}}


def connector(**notify: Any) -> Connector:
    return Connector.model_validate(
        {
            "name": "orders",
            "source": {"bucket": "braze", "prefix": "in"},
            "destination": {"kind": "event_bus", "name": "bus", "region": "us-east-1"},
            "state": {"bucket": "state"},
            "notify": notify,
        }
    )


def test_who_is_to_be_told_is_told() -> None:
    told = connector(on_failure=[GOOD, GOOD], on_missed_deadline=[GOOD], deadline_minutes=45)
    assert [type(each) for each in notices.on_failure(told)] == [FileNotifier, FileNotifier]
    [alert] = notices.deadlines(told)
    assert alert.interval.total_seconds() == 45 * 60
    assert alert.callback.path == GOOD["notifier"]
    assert list(notices.faults([told])) == []
    assert notices.on_failure(connector()) == notices.deadlines(connector()) == []


class Run(BaseModel):
    """A run as tasks see it."""

    partition_key: str


def test_hours_without_a_run_are_told_to_those_who_are_told_of_missed_deadlines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def notice(path: Path) -> dict[str, Any]:
        return {**GOOD, "arguments": {"path": str(path), "text": "{{ dag_run.partition_key }} is late"}}

    told = connector(on_missed_deadline=[notice(tmp_path / "no" / "folder"), notice(tmp_path / "x")], on_failure=[GOOD])
    context: Any = {"dag_run": Run(partition_key="2026-11-23-08")}
    notices.tell_late(told, context, "2026-11-23-05 to 2026-11-23-07")
    assert (tmp_path / "x").read_text() == "2026-11-23-05 to 2026-11-23-07 is late\n"
    assert context["dag_run"].partition_key == "2026-11-23-08"
    assert caplog.messages[-1] == "orders: tests.dags.notifier.FileNotifier could not be sent"


def test_a_source_that_is_pending_is_told_to_those_who_are_told_of_it(tmp_path: Path) -> None:
    notice = {**GOOD, "arguments": {"path": str(tmp_path / "x"), "text": "{{ pending }}"}}
    context: Any = {}
    notices.tell_pending(connector(on_pending=[notice], on_failure=[GOOD]), context, "it is PENDING")
    assert (tmp_path / "x").read_text() == "it is PENDING\n"
    assert list(notices.faults([connector(on_pending=[{"notifier": "no.such.Notifier"}])]))


@pytest.mark.parametrize(
    ("notice", "complaint"),
    [
        ({"notifier": "no.such.Notifier"}, "no.such.Notifier can't be created (No module named 'no')"),
        ({"notifier": "tests.dags.notifier.Missing"}, 'does not define a "Missing" attribute/class'),
        (
            {"notifier": GOOD["notifier"], "arguments": {"text": "failed"}},
            "missing 1 required positional argument",
        ),
    ],
    ids=["module", "class", "argument"],
)
def test_a_notice_that_can_not_be_sent_is_told_and_keeps_no_other_back(notice: dict[str, Any], complaint: str) -> None:
    told = connector(on_failure=[notice, GOOD], on_missed_deadline=[notice])
    lines = list(notices.faults([told]))
    assert len(lines) == 2
    for line in lines:
        assert line.startswith(f"connector orders: notify: {notice['notifier']}")
        assert complaint in line
        assert line.endswith("; correct the class or its arguments")
    assert len(notices.on_failure(told)) == 1
    assert notices.deadlines(told) == []
