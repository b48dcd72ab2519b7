from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from currents_airflow import connections
from currents_airflow.aws_connections import require_connections
from currents_airflow.clients import aws_hook
from currents_airflow.connections import find_connection
from currents_core.errors import SetupError
from tests.tools.house import connector

FOUND = Connection(conn_id="ours", conn_type="aws", login="key", password="secret")


class Airflow:
    """An Airflow of whose connection a task asks while the database is away for so many answers, and back later."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, away: int, has: bool = True) -> None:
        self.away, self.has, self.waited = away, has, 0
        monkeypatch.setattr(Connection, "get", self.get)
        task = SimpleNamespace(dag_id="d", run_id="r", get_dr_count=self.get_dr_count)
        monkeypatch.setattr(connections, "get_current_context", lambda: {"ti": task})

    def get(self, conn_id: str) -> Connection:
        if self.away or not self.has:
            raise AirflowNotFoundException(conn_id)
        return FOUND

    def get_dr_count(self, **_: Any) -> int:
        """What Airflow asks until the database answers."""
        self.waited += self.away
        self.away = 0
        return 1


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    return Airflow(monkeypatch, away=3)


def test_a_connection_that_a_database_away_hides_is_found_once_it_is_back(away: Airflow) -> None:
    assert find_connection("ours") is FOUND
    assert away.waited == 3
    require_connections(connector())


def test_a_connection_that_is_there_costs_no_further_question(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow = Airflow(monkeypatch, away=0)
    monkeypatch.setattr(airflow, "get_dr_count", lambda **_: pytest.fail("nobody needs to know"))
    assert find_connection("ours") is FOUND


def test_one_that_is_missing_is_missing_and_a_hook_takes_no_other_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    Airflow(monkeypatch, away=0, has=False)
    assert find_connection("ours") is None
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of the machine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the machine")
    with pytest.raises(SetupError, match="there is no Airflow connection ours; create it, or correct its name"):
        aws_hook("s3", "ours", "us-east-1").get_client_type()


def test_a_hook_waits_for_a_database_that_is_away(away: Airflow) -> None:
    credentials: Any = aws_hook("s3", "ours", "us-east-1").get_credentials()
    assert credentials.access_key == "key"


def test_without_a_task_there_is_nobody_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: str) -> Connection:
        raise AirflowNotFoundException("ours")

    monkeypatch.setattr(Connection, "get", none)
    assert find_connection("ours") is None
