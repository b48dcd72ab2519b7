"""The import law: dags → currents_airflow → currents_aws → currents_core, and never back up."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.tools.airflow_env import ROOT, airflow_env

# What each room may not import. A room is a folder, given as the beginning of its files' paths.
FORBIDDEN = {
    "include/": ("airflow", "currents_airflow", "dags", "tests", "benchmarks"),
    "include/currents_core/": ("boto3", "botocore", "awscrt", "aiobotocore", "currents_aws"),
    "plugins/": ("dags", "tests", "benchmarks"),
    "dags/": ("currents_aws", "boto3", "botocore", "awscrt", "tests", "benchmarks"),
}


def modules(room: str) -> Iterator[Path]:
    yield from sorted((ROOT / room).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively; name the whole module"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("room", FORBIDDEN)
def test_no_room_imports_what_it_must_not(room: str) -> None:
    assert list(modules(room)), f"{room} holds no modules: the law would check nothing"
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(room)
        for name in imports(path)
        for package in FORBIDDEN[room]
        if is_in(name, package)
    ]
    assert broken == []


def test_airflow_reads_the_dag_files_and_they_shadow_no_module() -> None:
    for path in modules("dags/"):
        text = path.read_text("utf-8").lower()
        assert "airflow" in text, f"{path}: Airflow skips files without the word"
        assert "dag" in text, f"{path}: Airflow skips files without the word"
        # Airflow puts the folder on sys.path.
        assert find_spec(path.stem) is None, f"{path} would be imported instead of {find_spec(path.stem)}"


# What runs inside the scheduler, for which the SDK has nothing.
IN_THE_SCHEDULER = {
    "plugins/currents_airflow/deadline.py": ("airflow.models.dagrun",),
    "plugins/currents_airflow/plugin.py": ("airflow.settings.get_policy_plugin_manager",),
    "plugins/currents_airflow/policy.py": ("airflow.policies.hookimpl",),
    "plugins/currents_airflow/pool.py": ("airflow.listeners", "airflow.models.pool", "airflow.models.taskinstance"),
    "plugins/currents_airflow/pool_check.py": ("airflow.state",),
    "plugins/currents_airflow/run_note.py": ("airflow.listeners",),
}
# What runs inside the API server, or where its commands are called.
IN_THE_API_SERVER = {
    "plugins/currents_airflow/cli/definition.py": ("airflow.cli.cli_config",),
    "plugins/currents_airflow/page/access.py": ("airflow.api_fastapi.app", "airflow.api_fastapi.core_api.security"),
    "plugins/currents_airflow/page/app.py": ("airflow.api_fastapi.core_api.security",),
    "plugins/currents_airflow/page/runs.py": (
        "airflow.models.dagrun",
        "airflow.models.taskinstance",
        "airflow.utils.session",
        "airflow.utils.state",
    ),
}
# Airflow's own operator that asks a person.
IN_TASKS = {"plugins/currents_airflow/operators/approve.py": ("airflow.providers.standard.operators.hitl",)}
INSIDE = IN_THE_SCHEDULER | IN_THE_API_SERVER | IN_TASKS
# What only the OpenLineage provider calls, where it is installed.
LINEAGE = ("airflow.providers.openlineage", "airflow.providers.common.compat.openlineage")


def test_airflow_is_only_used_through_its_public_sdk() -> None:
    allowed = ("airflow.__version__", "airflow.sdk", "airflow.providers.amazon", "airflow.plugins_manager")
    used = {
        (str(path.relative_to(ROOT)), name)
        for room in ("dags/", "plugins/")
        for path in modules(room)
        for name in imports(path)
        if is_in(name, "airflow")
    }
    assert set(INSIDE) <= {path for path, _ in used}
    broken = [
        f"{path} imports {name}"
        for path, name in used
        if not any(is_in(name, package) for package in (*allowed, *LINEAGE, *INSIDE.get(path, ())))
    ]
    assert broken == []


HEAVY = {"pandas", "pyarrow", "numpy", "boto3", "botocore", "awscrt", "fastavro", "datafusion"}
PARSE = f"""
import runpy, sys
from airflow.plugins_manager import ensure_plugins_loaded
ensure_plugins_loaded()
for path in sys.argv[2:]:
    runpy.run_path(path) if sys.argv[1] == "dags" else __import__(path)
assert "currents_airflow.plugin" in sys.modules
print(sorted({HEAVY!r} & set(sys.modules)))
"""


@pytest.mark.parametrize("room", ["dags", "plugins"])
def test_what_every_airflow_process_imports_loads_nothing_heavy(room: str, tmp_path: Path) -> None:
    paths = [path.relative_to(ROOT / room) for path in modules(room)]
    names = [str(ROOT / room / path) if room == "dags" else ".".join(path.with_suffix("").parts) for path in paths]
    run = subprocess.run(
        [sys.executable, "-c", PARSE, room, *names],
        env=airflow_env(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines()[-1] == "[]"
