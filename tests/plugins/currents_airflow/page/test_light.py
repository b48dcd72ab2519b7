from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.tools.airflow_env import ROOT

HEAVY = ("pandas", "pyarrow", "numpy", "boto3", "currents_airflow.operators", "currents_core.delivering")


def test_the_api_server_loads_the_page_without_what_only_tasks_need(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "import currents_airflow.plugin, currents_airflow.page.app\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{ROOT}/include:{ROOT}/plugins", "PATH": "", "AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
