from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.airflow_env import ROOT


@pytest.mark.parametrize("version", ["2.11.2", "3.2.10", "3.3.0rc1", "3.10.0", "4.0.0.dev0"])
def test_an_older_airflow_is_one_clear_error(tmp_path: Path, version: str) -> None:
    airflow = tmp_path / "airflow"
    airflow.mkdir()
    (airflow / "__init__.py").write_text(f"__version__ = {version!r}")
    run = subprocess.run(
        [sys.executable, "-c", "import currents_airflow"],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT / 'plugins'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    refused = version.startswith(("2.", "3.2."))
    assert run.returncode == refused
    complaint = f"ImportError: Currents Export needs Airflow 3.3 or newer, found {version}\n"
    assert run.stderr.endswith(complaint if refused else "")
