from __future__ import annotations

from pathlib import Path

import pytest

from currents_airflow.connectors import all_connectors, connectors_file, one_connector
from currents_core.errors import SetupError
from tests.tools.airflow_env import EXAMPLE


@pytest.fixture(autouse=True)
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIRFLOW__CURRENTS__CONNECTORS_FILE", "CURRENTS_CONNECTORS"):
        monkeypatch.delenv(name, raising=False)


def test_airflows_configuration_names_the_file_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURRENTS_CONNECTORS", "/from/the/environment.yaml")
    assert connectors_file() == Path("/from/the/environment.yaml")
    monkeypatch.setenv("AIRFLOW__CURRENTS__CONNECTORS_FILE", str(EXAMPLE))
    assert connectors_file() == EXAMPLE
    assert list(all_connectors().valid) == ["demo"]
    assert one_connector("demo").name == "demo"


@pytest.mark.parametrize("value", [None, ""])
def test_no_file_is_the_default(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is not None:
        monkeypatch.setenv("CURRENTS_CONNECTORS", value)
        monkeypatch.setenv("AIRFLOW__CURRENTS__CONNECTORS_FILE", value)
    assert connectors_file() is None
    with pytest.raises(SetupError, match=r"AIRFLOW__CURRENTS__CONNECTORS_FILE.*CURRENTS_CONNECTORS"):
        all_connectors()
    with pytest.raises(SetupError, match="no connectors file is named"):
        one_connector("demo")
