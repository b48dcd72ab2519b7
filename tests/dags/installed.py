"""Airflow with the wheel in environments of its own: plugin, DAGs and one export, from nothing of this repository.

    CURRENTS_ENVIRONMENTS="<virtual environment> ..." python -m pytest tests/dags/installed.py

`.ci/matrix` makes the environments and runs this. The suite does not, hence the name. Local AWS and the sample files
come from here.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.dags.conftest import Airflow
from tests.dags.test_currents_export import HOUR, accepted, put_sample
from tests.plugins.currents_airflow.test_plugin import FOUND
from tests.tools.local_aws import LocalAws

ENVIRONMENTS = [Path(each).absolute() for each in os.environ["CURRENTS_ENVIRONMENTS"].split()]
DAG_FILES = {
    "currents.py": "from currents_airflow.dags import make_dags\nglobals().update(make_dags())\n",
    "currents_faults.py": "from currents_airflow.dags import report_faults\nreport_faults()\n",
}
WHERE_FROM = """
import json
from importlib.util import find_spec
print(json.dumps([find_spec(each).origin for each in ("currents_core", "currents_aws", "currents_airflow")]))
"""


@pytest.fixture(params=ENVIRONMENTS, ids=lambda path: path.name)
def environment(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def installed(environment: Path, tmp_path: Path, aws: LocalAws, bucket: str, bus: str) -> Airflow:
    """Airflow as it is in an environment, with a user's DAG files, no plugins folder and no PYTHONPATH."""
    dags = tmp_path / "dags"
    dags.mkdir()
    for name, text in DAG_FILES.items():
        (dags / name).write_text(text)
    airflow = Airflow(tmp_path, aws, bucket, bus)
    airflow.environment = {
        "PATH": f"{environment / 'bin'}:/usr/bin:/bin",
        "PYTHONPATH": "",
        "CURRENTS_CONNECTORS": "",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(tmp_path / "plugins"),
        "AIRFLOW__CURRENTS__CONNECTORS_FILE": str(tmp_path / "connectors.yaml"),
    }
    return airflow


def printed(airflow: Airflow, code: str) -> str:
    """The last line that a piece of Python prints in the environment."""
    run = subprocess.run(
        ["python", "-c", code],
        env={**airflow.environment, "AIRFLOW_HOME": str(airflow.home)},
        cwd=airflow.home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()[-1]


def test_the_packages_are_the_wheels(environment: Path, installed: Airflow) -> None:
    files = [Path(each) for each in json.loads(printed(installed, WHERE_FROM))]
    assert [each.parents[1].name for each in files] == ["site-packages"] * 3
    assert all(each.is_relative_to(environment) for each in files)


def test_the_plugin_loads_once_and_without_an_error(installed: Airflow) -> None:
    told = json.loads(printed(installed, FOUND))
    assert (told["plugins"], told["errors"]) == (["currents"], {})
    assert told["policies_at_start"] == ["currents_airflow.policy"]
    assert (told["providers"], told["settings"]) == (["currents-export"], ["currents-export"])


def test_the_dags_parse_and_an_hour_is_exported_and_accounted_for(installed: Airflow) -> None:
    migration = installed.run("db", "migrate")
    assert migration.returncode == 0, migration.stdout
    errors = installed.run("dags", "list-import-errors", "--local")
    assert errors.returncode == 0, errors.stdout
    assert "No data found" in errors.stdout
    events = put_sample(installed)
    export = installed.export(HOUR)
    assert export.returncode == 0, export.stdout
    totals = installed.manifest(HOUR)["totals"]
    assert totals == {"read": 120, "sent": events, "duplicate": 120 - events, "filtered": 0, "dead_lettered": 0}
    found = accepted(installed)
    assert len(found) == events
    assert set(found.values()) == {1}
    wanted = next(iter(found))
    search = installed.run("currents", "find", wanted, "--day", HOUR[:10])
    assert search.returncode == 0, search.stdout
    assert "test: accepted; " in search.stdout
    check = installed.run("currents", "validate", "--live")
    assert check.returncode == 0, check.stdout
    assert "ok: test: bus: " in check.stdout
