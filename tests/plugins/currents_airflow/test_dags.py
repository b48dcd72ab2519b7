from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow import plugins_manager

from currents_airflow.connectors import one_connector
from currents_airflow.dags import make_dags, report_faults
from currents_airflow.operators.base import CurrentsOperator
from currents_core.errors import SetupError
from tests.tools.airflow_env import ROOT

CONNECTOR: dict[str, Any] = {
    "name": "orders",
    "source": {"bucket": "braze", "prefix": "in"},
    "destination": {"kind": "event_bus", "name": "bus", "region": "us-east-1"},
    "state": {"bucket": "state"},
}


@pytest.fixture(autouse=True)
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process has the plugin, as a DAG processor has."""
    caches = (plugins_manager._get_plugins, plugins_manager.get_deadline_references_plugins)
    monkeypatch.setattr("airflow.settings.PLUGINS_FOLDER", str(ROOT / "plugins"))
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The named connectors file, which is not there yet."""
    path = tmp_path / "connectors.yaml"
    monkeypatch.setenv("CURRENTS_CONNECTORS", str(path))
    return path


def write(path: Path, *connectors: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump({"connectors": list(connectors)}))


def test_each_valid_connector_has_its_dags_and_all_share_a_redrive(path: Path) -> None:
    write(path, CONNECTOR, {**CONNECTOR, "name": "mails"}, {"name": "broken"})
    dags = make_dags()
    assert list(dags) == [
        "currents_export_orders",
        "currents_connect_orders",
        "currents_export_mails",
        "currents_connect_mails",
        "currents_redrive",
    ]
    assert [dag.dag_id for dag in dags.values()] == list(dags)
    assert dags["currents_redrive"].params["connector"] == "orders"


def test_a_task_that_begins_makes_its_own_dag_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, CONNECTOR, {**CONNECTOR, "name": "mails", "automatic_redrive": {"tries": 2}})
    every = make_dags()
    assert len(every) == 6
    for name in every:
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", name)
        monkeypatch.delenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", raising=False)
        assert make_dags().keys() == every.keys(), "a command asks"
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "discover")
        [(found, dag)] = make_dags().items()
        assert (found, dag.dag_id, dag.task_ids) == (name, name, every[name].task_ids)


def test_the_log_of_a_task_tells_of_no_other_connector(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, CONNECTOR, {"name": "payroll"})
    make_dags()
    assert "payroll" in caplog.text or "connectors[1]" in caplog.text
    caplog.clear()
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "currents_export_orders")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "discover")
    assert list(make_dags()) == ["currents_export_orders"]
    assert caplog.text == ""


def test_each_dag_has_one_task_for_each_step(path: Path) -> None:
    write(path, CONNECTOR)
    tasks = {name: sorted(dag.task_ids) for name, dag in make_dags().items()}
    assert tasks == {
        "currents_export_orders": ["deliver", "discover", "reconcile"],
        "currents_connect_orders": ["archive", "check", "create", "discover", "log", "publish", "test"],
        "currents_redrive": ["conclude", "deliver", "select"],
    }


CUSTOM = {"kind": "custom_bus", "name": "bus", "region": "us-east-1"}
PARTNER = {
    "kind": "partner_source",
    "account": "123456789012",
    "partner_name": "braze.test",
    "region": "us-east-1",
}


@pytest.mark.parametrize(
    ("destination", "steps", "fields"),
    [
        (
            CONNECTOR["destination"],
            ["create", "archive", "log", "discover", "publish", "check", "test"],
            {"create_bus", "archive_days", "log_events", "discover_schemas", "publish_schemas", "test_events"},
        ),
        (
            CUSTOM,
            ["create", "wait", "publish", "subscribe", "check", "test"],
            {"create_bus", "retention_days", "publish_schemas", "test_events"},
        ),
        (PARTNER, ["create", "associate", "wait", "check", "test"], {"test_events"}),
        (
            {**PARTNER, "customer_conn_id": "theirs"},
            ["create", "associate", "wait", "discover", "publish", "check", "test"],
            {"discover_schemas", "publish_schemas", "test_events"},
        ),
    ],
)
def test_a_destination_is_connected_by_the_steps_and_the_form_of_its_kind(
    path: Path, destination: dict[str, Any], steps: list[str], fields: set[str]
) -> None:
    write(path, {**CONNECTOR, "destination": destination, "budget": {"entries_per_second": 100}})
    dag = make_dags()["currents_connect_orders"]
    assert [task.task_id for task in dag.topological_sort()] == steps  # type: ignore[no-untyped-call]
    assert set(dag.params) == fields
    dag.params.validate()


def test_faults_are_reported_apart_from_the_dags(path: Path) -> None:
    write(path, CONNECTOR)
    report_faults()
    write(path, CONNECTOR, {"name": "broken"})
    with pytest.raises(SetupError, match=r"connectors\[1\]\.source: missing; add it"):
        report_faults()
    write(path, {**CONNECTOR, "notify": {"on_failure": [{"notifier": "no.such.Notifier"}]}})
    with pytest.raises(SetupError, match=r"connector orders: notify: no\.such\.Notifier can't be created"):
        report_faults()
    assert "currents_export_orders" in make_dags()


def test_no_valid_connector_makes_no_dag(path: Path) -> None:
    write(path, {"name": "broken"})
    assert make_dags() == {}


def test_where_no_file_is_named_there_are_no_dags_and_one_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CURRENTS_CONNECTORS", raising=False)
    assert make_dags() == {}
    with pytest.raises(SetupError, match="no connectors file is named; put its path"):
        report_faults()


def test_a_file_that_can_not_be_read_is_no_reason_to_forget_its_dags(path: Path) -> None:
    with pytest.raises(SetupError, match="No such file"):
        make_dags()


def test_an_older_botocore_refuses_what_it_does_not_know_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = f"arn:aws:events:us-east-1:123456789012:event-busv2/orders/{'a' * 25}"
    destination = {"kind": "custom_bus", "name": arn, "region": "us-east-1"}
    custom = {**CONNECTOR, "name": "custom", "destination": destination, "budget": {"entries_per_second": 100}}
    write(path, CONNECTOR, custom)
    report_faults()
    assert "currents_export_custom" in make_dags()
    monkeypatch.setattr("currents_airflow.botocore_check.version", lambda _: "1.43.46")
    assert list(make_dags()) == ["currents_export_orders", "currents_connect_orders", "currents_redrive"]
    told = r"custom: botocore 1\.43\.46 does not know custom_bus; install boto3 1\.43\.102 or newer"
    with pytest.raises(SetupError, match=told):
        report_faults()
    with pytest.raises(SetupError, match=told):
        one_connector("custom")
    assert one_connector("orders").name == "orders"


def test_a_person_is_asked_only_where_a_connector_wants_it(path: Path) -> None:
    write(path, CONNECTOR, {**CONNECTOR, "name": "mails"})
    assert all("approve" not in dag.task_ids for dag in make_dags().values())
    write(path, CONNECTOR, {**CONNECTOR, "name": "mails", "approval": {"dollars": 5}})
    dags = make_dags()
    assert "approve" not in dags["currents_export_orders"].task_ids
    for name, last in (("currents_export_mails", "reconcile"), ("currents_redrive", "conclude")):
        assert dags[name].get_task("approve").downstream_task_ids == {"deliver", last}


def test_letters_are_sent_again_by_themselves_only_where_a_connector_wants_it(path: Path) -> None:
    write(path, CONNECTOR, {**CONNECTOR, "name": "mails", "automatic_redrive": {"tries": 2}})
    dags = make_dags()
    assert [name for name in dags if name.startswith("currents_redrive")] == [
        "currents_redrive_mails",
        "currents_redrive",
    ]
    made = dags["currents_redrive_mails"]
    assert made.max_active_runs == 1
    for task in ("select", "conclude"):
        step = made.get_task(task)
        assert isinstance(step, CurrentsOperator)
        assert step.kind == "automatic redrive"
