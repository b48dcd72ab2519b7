"""The examples of docs/examples, run as they are."""

from __future__ import annotations

from tests.dags.conftest import Airflow
from tests.dags.test_currents_export import HOUR, accepted, put_sample
from tests.tools.airflow_env import ROOT


def test_the_operators_work_in_a_dag_of_ones_own(airflow: Airflow) -> None:
    events = put_sample(airflow)
    airflow.environment = {"AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "docs" / "examples")}
    run = airflow.run("dags", "test", "export_when_ready", "2026-06-02T09:30:00+00:00")
    assert run.returncode == 0, run.stdout
    assert len(accepted(airflow)) == events
    assert airflow.manifest(HOUR)["totals"]["sent"] == events
