"""What `make bench` says at its start."""

from __future__ import annotations

import subprocess
import sys

from tests.tools.airflow_env import PYTHONPATH, ROOT

BENCH = """
from benchmarks import results
results.PROGRAMS = {"sh": "dash", "no-such-nginx": "nginx-light", "no-such-openssl": "openssl"}
results.main()
"""


def test_what_is_missing_is_said_before_anything_runs() -> None:
    command, environment = [sys.executable, "-c", BENCH], {"PYTHONPATH": PYTHONPATH}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "make bench needs no-such-nginx and no-such-openssl; on Debian: apt-get install nginx-light openssl\n"
    )
