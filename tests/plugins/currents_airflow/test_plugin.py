"""The plugin and the provider as an Airflow with the wheel, with the plugins folder, or with both finds them."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.tools.airflow_env import PYTHONPATH, ROOT, airflow_env

FOUND = """
import json
from airflow import plugins_manager
from airflow.listeners.listener import get_listener_manager
from airflow.providers_manager import ProvidersManager
from airflow.sdk.listener import get_listener_manager as get_listener_manager_of_tasks
from airflow.settings import get_policy_plugin_manager

def ours(manager):
    return sorted(each.__name__ for each in manager.get_plugins() if "currents" in getattr(each, "__name__", ""))


policies_at_start = ours(get_policy_plugin_manager())
print(json.dumps({
    "policies_at_start": policies_at_start,
    "plugins": [each["name"] for each in plugins_manager.get_plugin_info() if "currents" in str(each["source"])],
    "errors": plugins_manager.get_import_errors(),
    "middlewares": [each["name"] for each in plugins_manager.get_fastapi_plugins()[1]],
    "references": list(plugins_manager.get_deadline_references_plugins()),
    "listeners": ours(get_listener_manager().pm),
    "listeners_of_tasks": ours(get_listener_manager_of_tasks().pm),
    "policies": ours(get_policy_plugin_manager()),
    "providers": [name for name in ProvidersManager().providers if "currents" in name],
    "settings": [name for name, _ in ProvidersManager().provider_configs if "currents" in name],
}))
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A folder for the path, with what says to Airflow that the wheel is installed."""
    metadata = tmp_path / "site" / "currents_export-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: currents-export\nVersion: 0.1.0\n")
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    lines = [f"[{group}]\n{name} = {value}" for group, named in groups.items() for name, value in named.items()]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    return metadata.parent


def found(home: Path, path: str, folder: Path) -> dict[str, Any]:
    """What an Airflow finds that has ``path`` on its Python path and a plugins folder."""
    environment = {**airflow_env(home), "PYTHONPATH": path, "AIRFLOW__CORE__PLUGINS_FOLDER": str(folder)}
    run = subprocess.run([sys.executable, "-c", FOUND], env=environment, capture_output=True, text=True, check=True)
    return dict(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.parametrize(("has_wheel", "has_folder"), [(True, False), (False, True), (True, True)])
def test_the_plugin_is_loaded_once_however_it_is_installed(
    tmp_path: Path, wheel: Path, has_wheel: bool, has_folder: bool
) -> None:
    path = f"{PYTHONPATH}:{ROOT / 'plugins'}" + (f":{wheel}" if has_wheel else "")
    told = found(tmp_path, path, ROOT / "plugins" if has_folder else tmp_path / "empty")
    assert (told["plugins"], told["errors"]) == (["currents"], {})
    assert told["references"] == ["currents_airflow.deadline.HourEnd"]
    assert told["listeners"] == told["listeners_of_tasks"] == ["currents_airflow.pool", "currents_airflow.run_note"]
    assert told["middlewares"] == ["currents form check"]
    assert told["policies"] == ["currents_airflow.policy"]
    assert told["policies_at_start"] == (["currents_airflow.policy"] if has_wheel else []), "else with the plugin"
    assert told["providers"] == (["currents-export"] if has_wheel else [])
    assert told["settings"] == (["currents-export"] if has_wheel else [])
