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
from tests.tools.compose import RAW, airflow_settings

PATH = ROOT / "deploy" / "helm" / "values.yaml"
TEXT = PATH.read_text("utf-8")
VALUES: dict[str, Any] = yaml.safe_load(TEXT)
CHART = "1.22.0"
KUBERNETES_EXECUTOR = {
    "executor": "KubernetesExecutor",
    "cleanup": {"enabled": True},
    "workers": {"celery": {"podDisruptionBudget": {"enabled": False}}},
}
INSTALL, KUBERNETES = ((ROOT / "docs" / page).read_text("utf-8") for page in ("install.md", "kubernetes.md"))
# What the page has the reader write.
MINE = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", KUBERNETES, re.DOTALL)]
(DOCKERFILE,) = re.findall(r"```dockerfile\n(\s*FROM apache/airflow.*?)```", KUBERNETES, re.DOTALL)

# What the chart makes pods of under these values.
PODS = ["workers.celery", "workers.kubernetes", "scheduler", "apiServer", "dagProcessor", "triggerer", "statsd"]
PODS += ["pgbouncer", "migrateDatabaseJob", "cleanup"]
TWO_OF_THEM = ["scheduler", "apiServer"]
WITH_ROLES = ["workers.celery", "workers.kubernetes", "apiServer", "triggerer"]

# Settings of docker-compose.yaml that are not in the values, or have another value there, and why.
DIFFERENT = {
    "AIRFLOW__CORE__DAGS_FOLDER": "the chart's own",
    "AIRFLOW__CORE__PLUGINS_FOLDER": "the wheel brings the plugin",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "the chart's own",
    "AIRFLOW__CORE__EXECUTOR": "the chart's `executor`",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "the chart's own",
    "AIRFLOW__CORE__AUTH_MANAGER": "the chart's own, which is the same",
    "AIRFLOW__CORE__FERNET_KEY": "a secret",
    "AIRFLOW__API__SECRET_KEY": "a secret",
    "AIRFLOW__API_AUTH__JWT_SECRET": "a secret",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "a secret",
    "AIRFLOW__CELERY__RESULT_BACKEND": "Airflow's own: its database",
    "AIRFLOW__CELERY__BROKER_URL": "a secret",
    "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "the chart's probe asks the database",
    "AIRFLOW__METRICS__STATSD_ON": "the chart's own",
    "AIRFLOW__METRICS__STATSD_HOST": "the chart's own",
    "AIRFLOW__METRICS__STATSD_PORT": "the chart's own",
    "AIRFLOW__CORE__PARALLELISM": "for each of two schedulers",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": "two workers share what one has in compose",
}


def value(path: str, values: Any = VALUES) -> Any:
    """The value at a dotted path."""
    found = values
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


@pytest.mark.parametrize("name", sorted(airflow_settings().keys() - DIFFERENT))
def test_airflow_recovers_as_it_does_in_compose(name: str) -> None:
    _, section, key = name.lower().split("__")
    assert str(value(f"config.{section}.{key}")) == airflow_settings()[name]


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_from_compose_is_there_and_does_differ(name: str) -> None:
    _, section, key = name.lower().split("__")
    assert VALUES["config"].get(section, {}).get(key) != airflow_settings()[name]


def test_the_schedulers_hand_out_as_many_tasks_as_the_workers_have_slots_for() -> None:
    config = VALUES["config"]
    slots = value("workers.celery.replicas") * config["celery"]["worker_concurrency"]
    assert config["core"]["parallelism"] * value("scheduler.replicas") == slots


@pytest.mark.parametrize("kind", ["celery", "kubernetes"])
def test_a_pod_has_as_long_to_end_as_a_worker_in_compose(kind: str) -> None:
    assert RAW["services"]["airflow-worker"]["stop_grace_period"] == "1m"
    assert VALUES["workers"][kind]["terminationGracePeriodSeconds"] == 60


@pytest.mark.parametrize("path", ["workers.celery", "scheduler", "dagProcessor", "triggerer"])
def test_a_probe_that_starts_python_has_as_long_as_the_check_of_a_worker_in_compose(path: str) -> None:
    probe, check = value(path)["livenessProbe"], RAW["services"]["airflow-worker"]["healthcheck"]
    assert (f"{probe['periodSeconds']}s", f"{probe['timeoutSeconds']}s") == (check["interval"], check["timeout"])


@pytest.mark.parametrize("path", ["scheduler", "apiServer"])
def test_what_starts_beside_everything_else_has_as_long_as_in_compose(path: str) -> None:
    # The chart looks every ten seconds.
    assert value(path)["startupProbe"]["failureThreshold"] * 10 >= 180
    assert RAW["services"]["airflow-apiserver"]["healthcheck"]["start_period"] == "3m"


def test_the_signal_to_end_reaches_every_process_of_a_celery_worker() -> None:
    # Not by a second variable of the chart's name: server-side apply, which Helm 4 uses, refuses one.
    env, *setting, init, end, entrypoint = VALUES["workers"]["celery"]["command"]
    assert (env, init, end, entrypoint) == ("/usr/bin/env", "/usr/bin/dumb-init", "--", "/entrypoint")
    assert setting == ["DUMB_INIT_SETSID=1"]
    assert "DUMB_INIT_SETSID" not in {each["name"] for each in VALUES["env"]}


@pytest.mark.parametrize("path", ["workers.celery", "scheduler", "dagProcessor", "triggerer"])
def test_what_removes_old_logs_starts_no_airflow(path: str) -> None:
    # The chart's `args` say what it does. The entrypoint of the image, which it leaves out as in compose, would first
    # look for a database: some 200 MB of Airflow, and the pod would never be ready.
    groomer, (init, end, *does) = value(path)["logGroomerSidecar"], RAW["services"]["log-groomer"]["entrypoint"]
    assert groomer["command"] == [init, end]
    assert does == ["bash", "/clean-logs"]
    assert mebibytes(groomer["resources"]["limits"]["memory"]) < 128


def test_logs_outlive_the_pods() -> None:
    logging = VALUES["config"]["logging"]
    assert logging["remote_logging"] == "True"
    connections = {each["name"] for each in VALUES["env"]}
    assert f"AIRFLOW_CONN_{logging['remote_log_conn_id'].upper()}" in connections
    assert MINE[0]["config"]["logging"]["remote_base_log_folder"].startswith("s3://")


@pytest.mark.parametrize("path", WITH_ROLES)
def test_who_writes_or_reads_logs_has_a_role_that_trusts_its_service_account(path: str) -> None:
    # The chart would name the accounts after itself, too.
    name = value(path)["serviceAccount"]["name"]
    assert f"system:serviceaccount:airflow:{name}" in re.split(r'["`]', KUBERNETES)
    assert re.findall(r"serviceaccount:airflow:([\w-]+)", KUBERNETES).count(name) == 1
    assert "eks.amazonaws.com/role-arn" in value(path, MINE[0])["serviceAccount"]["annotations"]


def test_no_value_is_somebody_elses() -> None:
    assert not re.search(r"\b\d{12}\b|s3://", TEXT)


def test_the_connection_of_the_cloudformation_stack_reaches_every_pod() -> None:
    (source,) = yaml.safe_load(VALUES["extraEnvFrom"])
    secret = source["secretRef"]["name"]
    created = re.findall(rf"secret generic {secret} --from-file=(AIRFLOW_CONN_\w+)=", KUBERNETES)
    stack = (ROOT / "docs" / "cloudformation.yaml").read_text("utf-8")
    assert {f"AIRFLOW_CONN_{name.upper()}" for name in re.findall(r"aws_conn_id: (\w+)", stack)} == set(created)


def test_logs_have_credentials_outside_eks_or_stay_off_the_bucket() -> None:
    name = VALUES["config"]["logging"]["remote_log_conn_id"].upper()
    assert f"--from-file=AIRFLOW_CONN_{name}=" in KUBERNETES
    # With the CeleryExecutor, and with the KubernetesExecutor, whose pods take their logs with them.
    assert len(re.findall(r"`config\.logging\.remote_logging` to `\"False\"`", KUBERNETES)) == 2


def test_the_checks_have_a_pod_with_each_executor() -> None:
    checked = re.findall(r"kubectl exec (\S+) -c \S+ -- airflow plugins", INSTALL)
    # Only the workers of Celery are a stateful set; the KubernetesExecutor has no pod between tasks.
    assert checked == ["currents-worker-0", "deploy/currents-api-server"]
    assert VALUES["workers"]["celery"]["persistence"]["enabled"]


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


@pytest.mark.parametrize("text", [TEXT, KUBERNETES], ids=["values", "page"])
def test_what_the_kubernetes_executor_takes_is_named(text: str) -> None:
    words = "`executor: KubernetesExecutor`, `cleanup: {enabled: true}` and "
    words += "`workers: {celery: {podDisruptionBudget: {enabled: false}}}`"
    assert words in " ".join(text.replace("\n#", " ").split())
    lines = re.findall(r"`(.*?)`", words)
    assert {key: found for line in lines for key, found in yaml.safe_load(line).items()} == KUBERNETES_EXECUTOR


@pytest.mark.parametrize("more", [{}, KUBERNETES_EXECUTOR], ids=["celery", "kubernetes"])
def test_the_chart_renders_to_what_kubernetes_takes(tmp_path: Path, more: dict[str, Any]) -> None:
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
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(more))
    render += ["--values", PATH, "--values", mine]
    manifests = subprocess.run(render, capture_output=True, text=True, check=False)
    assert manifests.returncode == 0, manifests.stderr
    check = ["kubeconform", "-strict", "-"]
    checked = subprocess.run(check, input=manifests.stdout, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
