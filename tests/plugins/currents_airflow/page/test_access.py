"""What of a faulty connectors file is told to whom; who is who is tried on a real Airflow."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from currents_airflow.page.access import readable
from currents_airflow.page.app import make_app

FAULTY = """
connectors:
  - name: orders
    source: {bucket: acme-braze, prefix: in/}
    destination: {kind: event_bus, name: bus, region: us-east-1}
    state: {bucket: acme-braze, prefix: state/}
    lookback_hour: 5
"""


def answered(monkeypatch: pytest.MonkeyPatch, folder: Path, file: str, path: str, *names: str) -> str:
    """The answer to who may read the DAGs of some connectors."""
    (folder / "secret place.yaml").write_text(file)
    monkeypatch.setenv("CURRENTS_CONNECTORS", str(folder / "secret place.yaml"))
    app = make_app()
    app.dependency_overrides[readable] = lambda: {*names}
    return TestClient(app, follow_redirects=False).get(path).text


def test_a_fault_of_a_connector_is_told_to_who_may_see_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "lookback_hour" in answered(monkeypatch, tmp_path, FAULTY, "/c/orders/", "orders")
    assert "There is no connector orders that you may see" in answered(monkeypatch, tmp_path, FAULTY, "/c/orders/")


OTHERS = """
  - name: payroll
    source: {bucket: secret-bucket, prefix: in/}
    stat: 1
"""


def test_faults_and_names_of_other_connectors_are_told_to_nobody_who_may_not_see_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = answered(monkeypatch, tmp_path, FAULTY + OTHERS, "/c/orders/", "orders")
    assert "lookback_hour" in told
    gone = answered(monkeypatch, tmp_path, FAULTY + OTHERS, "/c/mails/", "mails")
    assert "There is no connector mails that you may see" in gone
    for each in (told, gone):
        assert "payroll" not in each
        assert "stat" not in each.replace("/static/", "")


def test_a_file_that_can_not_be_read_is_told_to_who_may_see_something(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "secret place" in answered(monkeypatch, tmp_path, "connectors: {a: b", "/", "orders")
    assert "secret place" not in answered(monkeypatch, tmp_path, "connectors: {a: b", "/")
