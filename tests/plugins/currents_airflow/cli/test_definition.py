from __future__ import annotations

import subprocess
import sys

from tests.tools.airflow_env import ROOT

HEAVY = ("pandas", "pyarrow", "numpy", "boto3")


def test_knowing_the_commands_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from currents_airflow.cli.definition import commands\n"
        "[group] = commands()\n"
        "print([each.name for each in group.subcommands])\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{ROOT}/include:{ROOT}/plugins", "PATH": "", "AIRFLOW_HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-2:] == ["['validate', 'status', 'find', 'letters', 'source']", "[]"]
