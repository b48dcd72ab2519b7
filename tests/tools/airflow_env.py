"""The settings under which the demo, the tests and the local UI run Airflow."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The connectors file of the demo.
EXAMPLE = ROOT / "include" / "connectors.yaml"
# What has to be on the path to import the project and its tests; Airflow adds the plugins folder by itself.
PATH = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
PYTHONPATH = f"{ROOT / 'include'}:{ROOT}"


def airflow_env(home: Path) -> dict[str, str]:
    """Environment variables for an Airflow in ``home``, on SQLite, with this project's DAGs, plugins and example."""
    return {
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": PYTHONPATH,
        "PATH": PATH,
        "CURRENTS_CONNECTORS": str(EXAMPLE),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "true",
        # No login, so no foreign web page may talk to it.
        "AIRFLOW__CORE__AUTH_MANAGER": "tests.tools.local_auth.LocalAuthManager",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "false",
        # One process writes at a time; the others wait their turn for up to 30 seconds instead of SQLite's 5.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=30",
        "AIRFLOW__API__HOST": "127.0.0.1",
        # It listens only where `[scheduler] enable_health_check` is set, and then on every address of the machine.
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": "127.0.0.1",
        # The UI shows lines of logs whole.
        "AIRFLOW__API__DEFAULT_WRAP": "true",
        # An empty connection: boto3's own credential chain and endpoints apply.
        "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
    }
