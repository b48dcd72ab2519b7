"""The values for Airflow's Helm chart: they fit the rest of the project, and render to what Kubernetes takes."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tools.airflow_env import ROOT

PATH = ROOT / "deploy" / "helm" / "values.yaml"
TEXT = PATH.read_text("utf-8")
VALUES: dict[str, Any] = yaml.safe_load(TEXT)
CHART = "1.22.0"
KUBERNETES_EXECUTOR = "--set executor=KubernetesExecutor --set cleanup.enabled=true"
INSTALL = (ROOT / "docs" / "install.md").read_text("utf-8")
(DOCKERFILE,) = re.findall(r"```dockerfile\n(\s*FROM apache/airflow.*?)```", INSTALL, re.DOTALL)

# What the chart makes pods of under these values.
PODS = ["workers.celery", "workers.kubernetes", "scheduler", "apiServer", "dagProcessor", "triggerer", "statsd"]
PODS += ["pgbouncer", "migrateDatabaseJob", "cleanup"]
TWO_OF_THEM = ["scheduler", "apiServer"]


def value(path: str) -> Any:
    """The value at a dotted path."""
    found: Any = VALUES
    for key in path.split("."):
        found = found[key]
    return found


def leaves(of: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no map, with its dotted path."""
    if isinstance(of, dict):
        for key, each in of.items():
            yield from leaves(each, f"{path}.{key}".lstrip("."))
    else:
        yield path, of


def version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def mebibytes(size: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", size).groups()  # type: ignore[union-attr]
    return int(number) * {"Mi": 1, "Gi": 1024}[unit]


def test_the_airflow_is_that_of_the_image_and_none_that_is_too_old() -> None:
    (base,) = re.findall(r"^\s*FROM apache/airflow:([\d.]+)-python", DOCKERFILE, re.MULTILINE)
    assert VALUES["airflowVersion"] == base
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (floor,) = (need.partition(">=")[2] for need in project["dependencies"] if need.startswith("apache-airflow>="))
    assert version(base) >= version(floor)


def test_the_connectors_file_is_where_the_image_has_it() -> None:
    assert f" {VALUES['config']['currents']['connectors_file']}\n" in DOCKERFILE


def test_no_secret_is_written_down() -> None:
    words = re.compile(r"secret|password|pass$|connection|brokerUrl$|key$", re.IGNORECASE)
    paths = {path for path, _ in leaves(VALUES) if words.search(path)}
    assert {path for path in paths if not path.endswith("SecretName")} == set()
    assert not re.search(r"//[^<\s:/]+:[^<\s@]+@", TEXT), "a URL has a password"


@pytest.mark.parametrize(
    "path",
    [
        "data.metadataSecretName",
        "data.brokerUrlSecretName",
        "fernetKeySecretName",
        "apiSecretKeySecretName",
        "jwtSecretName",
        "pgbouncer.configSecretName",
        "pgbouncer.metricsExporterSidecar.statsSecretName",
    ],
)
def test_every_secret_that_the_chart_would_make_up_is_named(path: str) -> None:
    assert re.fullmatch(r"[a-z0-9-]+", value(path))


def test_what_brings_passwords_of_its_own_is_off() -> None:
    assert [path for path in ("postgresql", "redis", "createUserJob") if value(path)["enabled"]] == []


@pytest.mark.parametrize("path", PODS)
def test_every_pod_has_its_share_of_the_node(path: str) -> None:
    resources = value(path)["resources"]
    assert resources["requests"]["cpu"]
    assert mebibytes(resources["requests"]["memory"]) <= mebibytes(resources["limits"]["memory"])


def test_no_pod_is_root_or_can_become_it() -> None:
    for part in (VALUES, VALUES["statsd"], VALUES["pgbouncer"]):
        contexts = part["securityContexts"]
        assert contexts["pod"]["runAsNonRoot"]
        assert contexts["pod"]["runAsUser"] > 0
        assert contexts["pod"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert VALUES["securityContexts"]["containers"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("kind", ["celery", "kubernetes"])
def test_temporary_files_have_a_place_with_a_limit(kind: str) -> None:
    worker = VALUES["workers"][kind]
    (volume,) = worker["extraVolumes"]
    assert worker["extraVolumeMounts"] == [{"name": volume["name"], "mountPath": "/tmp"}]
    tasks = VALUES["config"]["celery"]["worker_concurrency"] if kind == "celery" else 1
    # include/currents_core/delivering/fetch.py: 256 MB ahead and as much that stays free, beside the file that is read.
    assert mebibytes(volume["emptyDir"]["sizeLimit"]) >= tasks * 3 * 256


@pytest.mark.parametrize("kind", ["celery", "kubernetes"])
def test_tasks_have_time_to_end_before_their_pod_is_killed(kind: str) -> None:
    # Kubernetes' own default is 30 seconds.
    assert VALUES["workers"][kind]["terminationGracePeriodSeconds"] >= 300


def test_logs_outlive_the_pods() -> None:
    logging = VALUES["config"]["logging"]
    assert logging["remote_logging"] == "True"
    assert logging["remote_base_log_folder"].startswith("s3://")
    connections = {each["name"] for each in VALUES["env"]}
    assert f"AIRFLOW_CONN_{logging['remote_log_conn_id'].upper()}" in connections
    # Who writes them, and who reads them.
    for path in ("workers.celery", "workers.kubernetes", "apiServer"):
        assert "eks.amazonaws.com/role-arn" in value(path)["serviceAccount"]["annotations"]


@pytest.mark.parametrize("path", [*TWO_OF_THEM, "workers.celery", "dagProcessor", "triggerer", "pgbouncer"])
def test_a_drained_node_takes_one_of_a_kind_at_a_time(path: str) -> None:
    assert value(path)["podDisruptionBudget"]["enabled"]
    if path in TWO_OF_THEM:
        assert value(path)["replicas"] == 2


def test_metrics_are_mapped_as_they_are_in_compose() -> None:
    mapping = yaml.safe_load((ROOT / "deploy" / "statsd.yaml").read_text("utf-8"))
    assert VALUES["statsd"]["extraMappings"] == mapping["mappings"]


def test_the_head_of_the_file_names_the_chart() -> None:
    assert f"apache-airflow/airflow --version {CHART} " in TEXT
    assert f"`{KUBERNETES_EXECUTOR}`" in TEXT


@pytest.mark.parametrize("options", [[], KUBERNETES_EXECUTOR.split()], ids=["celery", "kubernetes"])
def test_the_chart_renders_to_what_kubernetes_takes(tmp_path: Path, options: list[str]) -> None:
    missing = [program for program in ("helm", "kubeconform") if not shutil.which(program)]
    if missing:
        pytest.skip(f"the values are not rendered here, since {' and '.join(missing)} are not installed")
    pull = ["helm", "pull", "airflow", "--repo", "https://airflow.apache.org", "--version", CHART]
    pulled = subprocess.run([*pull, "--destination", tmp_path], capture_output=True, text=True, check=False)
    if pulled.returncode:
        pytest.skip(f"the values are not rendered here, since the chart cannot be had: {pulled.stderr.strip()}")
    render: list[str | Path] = [
        "helm",
        "template",
        "currents",
        tmp_path / f"airflow-{CHART}.tgz",
        "--namespace",
        "airflow",
    ]
    manifests = subprocess.run([*render, "--values", PATH, *options], capture_output=True, text=True, check=False)
    assert manifests.returncode == 0, manifests.stderr
    check = ["kubeconform", "-strict", "-"]
    checked = subprocess.run(check, input=manifests.stdout, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
