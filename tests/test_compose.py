"""The container set-up, as far as it can be checked without an engine."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema

from currents_airflow.page import bounded
from tests.tools.airflow_env import ROOT, airflow_env
from tests.tools.compose import EXPRESSION, RAW, interpolate

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
SERVICES: dict[str, dict[str, Any]] = RAW["services"]
COMMON: dict[str, Any] = RAW["x-airflow"]
AIRFLOW = {name: service for name, service in SERVICES.items() if name.startswith("airflow-")}
PROFILES = {"local-aws": "local-aws", "statsd-exporter": "metrics", "prometheus": "metrics", "grafana": "metrics"}

SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|KEY|AUTH$|CONN_")
SECRETS = {
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "_AIRFLOW_WWW_USER_PASSWORD",
}
NEEDED = {*SECRETS, "CURRENTS_CONNECTORS"}
CONNECTORS = "/opt/airflow/include/connectors.yaml"
FILLED = {**dict.fromkeys(SECRETS, "0" * 64), "CURRENTS_CONNECTORS": CONNECTORS}

# Settings that the local Airflow has too, with another value, and why.
DIFFERENT = {
    "AIRFLOW__CORE__DAGS_FOLDER": "a path in the containers",
    "AIRFLOW__CORE__PLUGINS_FOLDER": "a path in the containers",
    "AIRFLOW__CORE__AUTH_MANAGER": "people log in",
    "AIRFLOW__CORE__EXECUTOR": "workers of their own",
    "AIRFLOW__CORE__PARALLELISM": "a machine of its own",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "nothing goes to a real bus before somebody says so",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "several processes write at once: Postgres",
}
# Services whose file system stays writable, and why.
WRITABLE = dict.fromkeys(AIRFLOW, "the image writes to /etc/passwd, and Airflow to its home")


def strings(value: Any) -> Iterator[str]:
    """Every string value inside a value."""
    if isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)
    elif isinstance(value, str):
        yield value


def expressions() -> Iterator[re.Match[str]]:
    """Every ${...} of the compose file."""
    for text in strings(RAW):
        yield from (match for match in EXPRESSION.finditer(text) if match["name"])


def environments() -> Iterator[tuple[str, str, Any]]:
    """Every environment variable of every service: service, name, value as it is written."""
    for service, settings in SERVICES.items():
        for name, value in settings.get("environment", {}).items():
            yield service, name, value


def resolved(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The compose file with everything filled in."""
    missing: dict[str, str] = {}
    document: dict[str, Any] = interpolate(RAW, {**FILLED, **(environment or {})}, missing)
    assert missing == {}
    return document


def schema() -> dict[str, Any]:
    """The compose specification's own schema."""
    found: dict[str, Any] = get_builtin_schema("vendor.compose-spec")
    return found


def pinned(package: str, requirements: str = "requirements.lock") -> str:
    """The version to which a compiled requirements file pins a package."""
    found = re.search(rf"^{re.escape(package)}==(\S+)$", (ROOT / requirements).read_text("utf-8"), re.MULTILINE)
    assert found, f"{requirements} does not pin {package}"
    return found[1]


def test_the_compose_file_is_valid() -> None:
    validator = jsonschema.validators.validator_for(schema())
    validator.check_schema(schema())
    assert [error.message for error in validator(schema()).iter_errors(resolved())] == []


def test_the_schema_refuses_a_misspelt_key() -> None:
    document = resolved()
    document["services"]["redis"]["restrat"] = "unless-stopped"
    with pytest.raises(jsonschema.ValidationError, match="restrat"):
        jsonschema.validate(document, schema())


@pytest.mark.parametrize(
    ("text", "expected", "expected_missing"),
    [
        ("$$A ${A:?say}", "$A a", {}),
        ("x:${A:-b}@${NONE:-b}", "x:a@b", {}),
        ("${EMPTY:-b}", "b", {}),
        ("${EMPTY:?say}", "", {"EMPTY": "say"}),
        ("${NONE:?say so}", "", {"NONE": "say so"}),
    ],
)
def test_interpolation_follows_compose(text: str, expected: str, expected_missing: dict[str, str]) -> None:
    missing: dict[str, str] = {}
    assert interpolate(text, {"A": "a", "EMPTY": ""}, missing) == expected
    assert missing == expected_missing


@pytest.mark.parametrize("text", ["$A", "${A}", "${A-b}", "${A:+b}", "costs 5$"])
def test_interpolation_refuses_what_the_file_does_not_use(text: str) -> None:
    with pytest.raises(AssertionError, match="neither"):
        interpolate(text, {"A": "a"}, {})


def test_what_is_missing_is_named_with_the_way_to_make_it() -> None:
    missing: dict[str, str] = {}
    interpolate(RAW, {}, missing)
    assert set(missing) == NEEDED
    assert [name for name in SECRETS if "openssl rand" not in missing[name]] == []
    assert CONNECTORS in missing["CURRENTS_CONNECTORS"]


def test_what_is_empty_is_missing_too() -> None:
    missing: dict[str, str] = {}
    interpolate(RAW, dict.fromkeys(NEEDED, ""), missing)
    assert set(missing) == NEEDED


def test_no_secret_has_a_default() -> None:
    secret = [match for match in expressions() if SECRET.search(match["name"])]
    assert {match["name"] for match in secret} == SECRETS
    assert [match[0] for match in secret if match["operator"] != "?"] == []


def test_no_secret_is_written_down() -> None:
    required = re.compile(r"\$\{\w+:\?[^}]+\}")
    values = {name: value for _, name, value in environments() if SECRET.search(name)}
    assert [name for name, value in values.items() if value is not None and not required.fullmatch(value)] == []
    # Inside a URL, too, the password is one that must be given.
    passwords = [found for text in strings(RAW) for found in re.findall(r"://\w*:(\$\{[^}]*\}|[^@/]*)@", text)]
    assert len(passwords) >= 3
    assert [each for each in passwords if not required.fullmatch(each)] == []


def test_the_image_builds_carry_no_secret() -> None:
    assert not re.search(r"^(ARG|ENV).*(PASSWORD|SECRET|TOKEN|KEY)", DOCKERFILE, re.MULTILINE)
    assert not any("args" in service.get("build", {}) for service in SERVICES.values())


def test_the_example_lists_every_variable_with_an_empty_value() -> None:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    found = [re.fullmatch(r"(#?)(\w+)=(.*)", line) for line in lines]
    listed = {match[2]: (match[1], match[3]) for match in found if match}
    handed_on = {name for _, name, value in environments() if value is None}
    named = {match["name"] for match in expressions()}
    # Compose itself reads that one.
    assert set(listed) == named | handed_on | {"COMPOSE_PROFILES"}
    assert {value for _, value in listed.values()} == {""}
    # One that is handed on without a default would be handed on empty: it is set only by whoever needs it.
    assert {name for name, (mark, _) in listed.items() if mark} == handed_on


def test_the_services_are_those_of_airflow_its_stores_and_the_profiles() -> None:
    parts = {"init", "apiserver", "scheduler", "dag-processor", "worker", "triggerer"}
    assert set(AIRFLOW) == {f"airflow-{part}" for part in parts}
    assert set(SERVICES) == {"postgres", "redis", "log-groomer", *PROFILES, *AIRFLOW}
    profiles = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}
    assert profiles == {name: [profile] for name, profile in PROFILES.items()}


def test_the_queue_outlives_its_container() -> None:
    redis = SERVICES["redis"]
    command = redis["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert "redis:/data" in redis["volumes"]
    assert "redis" in RAW["volumes"]


@pytest.mark.parametrize("name", AIRFLOW)
def test_all_parts_of_airflow_are_set_up_alike(name: str) -> None:
    service = AIRFLOW[name]
    same = ("image", "user", "volumes", "cap_drop", "security_opt", "logging")
    assert {key: service[key] for key in same} == {key: COMMON[key] for key in same}
    assert service["environment"].items() >= COMMON["environment"].items()
    assert service["depends_on"].items() >= COMMON["depends_on"].items()
    extra = set(service["environment"]) - set(COMMON["environment"])
    allowed = {
        "airflow-init": {"_AIRFLOW_WWW_USER_USERNAME", "_AIRFLOW_WWW_USER_PASSWORD"},
    }
    assert extra == allowed.get(name, set())


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_watched_and_restarted(name: str) -> None:
    service = SERVICES[name]
    if name == "airflow-init":
        assert not {"healthcheck", "restart"} & set(service), "it runs once and ends"
        return
    assert service["healthcheck"]["test"]
    # And not `always`: what a person has stopped stays so when the machine starts again.
    assert service["restart"] == "unless-stopped"
    if name in AIRFLOW:
        assert service["depends_on"]["airflow-init"] == {"condition": "service_completed_successfully"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_its_share_of_the_machine(name: str) -> None:
    service = resolved()["services"][name]
    assert re.fullmatch(r"[1-9]\d*[mg]", service["mem_limit"])
    assert 0 < float(service["cpus"]) <= 2, "Docker refuses more than the machine has"
    assert service["pids_limit"] > 0


def user_of(name: str) -> str:
    """The user whom a service runs as: the one that it names, or else that of its own image."""
    service = resolved()["services"][name]
    if "user" in service:
        return str(service["user"])
    stage = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    (own,) = (text for text in stage if re.match(rf"\S+ AS {service['build']['target']}\n", text))
    return re.findall(r"^USER (\S+)$", own, re.MULTILINE)[-1]


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_is_root_or_can_become_it(name: str) -> None:
    # By number: for a name, an engine has to look into the image.
    assert re.fullmatch(r"[1-9]\d*:\d+", user_of(name))
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & set(service)


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_may_write_to_is_mounted(name: str) -> None:
    assert SERVICES[name].get("read_only", False) != (name in WRITABLE)


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_prints_is_rotated(name: str) -> None:
    logging = SERVICES[name]["logging"]
    assert logging["driver"] == "local"
    assert set(logging["options"]) == {"max-size", "max-file"}


def test_the_logs_of_tasks_end() -> None:
    groomer = SERVICES["log-groomer"]
    assert groomer["volumes"] == [mount for mount in COMMON["volumes"] if mount.startswith("logs:")]
    days = int(groomer["environment"]["AIRFLOW__LOG_RETENTION_DAYS"])
    # find counts whole days that have passed: +16 is what should have gone a day ago.
    assert f"-mtime +{days + 1} " in groomer["healthcheck"]["test"][1]


@pytest.mark.parametrize(("age", "is_healthy"), [(1, True), (16.5, True), (18, False)])
def test_the_log_groomer_is_unhealthy_where_old_logs_stay(tmp_path: Path, age: float, is_healthy: bool) -> None:
    folder = tmp_path / "dag_id=a" / "run_id=b"
    folder.mkdir(parents=True)
    log = folder / "attempt=1.log"
    log.touch()
    os.utime(log, (time.time() - age * 86_400,) * 2)
    _, script = resolved()["services"]["log-groomer"]["healthcheck"]["test"]
    found = subprocess.run(["sh", "-c", script.replace("/opt/airflow/logs", str(tmp_path))], check=False)
    assert (found.returncode == 0) == is_healthy


def test_metrics_are_sent_on_demand_to_the_profile_that_has_the_server() -> None:
    common = resolved()["x-airflow"]["environment"]
    assert common["AIRFLOW__METRICS__STATSD_ON"] == "false"
    on = resolved({"AIRFLOW__METRICS__STATSD_ON": "true"})["x-airflow"]["environment"]
    assert on["AIRFLOW__METRICS__STATSD_ON"] == "true"
    assert PROFILES[on["AIRFLOW__METRICS__STATSD_HOST"]] == "metrics"
    # The exporter's own default.
    assert on["AIRFLOW__METRICS__STATSD_PORT"] == "9125"


@pytest.mark.parametrize("password", [None, "", "chosen"])
def test_grafana_starts_with_a_password_only(tmp_path: Path, password: str | None) -> None:
    shell, options, script = resolved()["services"]["grafana"]["entrypoint"]
    started = tmp_path / "run.sh"
    started.write_text("#!/bin/sh\necho started\n")
    started.chmod(0o755)
    given = {} if password is None else {"GF_SECURITY_ADMIN_PASSWORD": password}
    command = [shell, options, script.replace("/run.sh", str(started))]
    found = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    assert (found.stdout == "started\n") == (found.returncode == 0) == bool(password)
    assert password or "GF_SECURITY_ADMIN_PASSWORD" in found.stderr
    assert "GF_SECURITY_ADMIN_USER" not in SERVICES["grafana"]["environment"], "the docs say that the user is admin"


def test_dependencies_name_services_that_can_meet_them() -> None:
    for service in SERVICES.values():
        for name, wanted in service.get("depends_on", {}).items():
            assert name in SERVICES
            assert wanted["condition"] != "service_healthy" or "healthcheck" in SERVICES[name]


def test_ports_are_published_on_the_loopback_only() -> None:
    ports = [port for service in resolved()["services"].values() for port in service.get("ports", [])]
    assert {port.split(":")[1] for port in ports} == {"8080", "5000", "3000", "9090"}
    assert [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)] == []
    assert not any("network_mode" in service for service in SERVICES.values())


def test_what_is_mounted_exists_and_cannot_be_written() -> None:
    mounts = {mount for service in SERVICES.values() for mount in service.get("volumes", [])}
    of_host = {mount for mount in mounts if mount.startswith((".", "/", "~", "$"))}
    own = {f"./{folder}:/opt/airflow/{folder}:ro" for folder in ("dags", "plugins", "include")}
    assert set(COMMON["volumes"]) == {*own, "logs:/opt/airflow/logs"}
    assert [mount for mount in of_host - own if not re.fullmatch(r"\./deploy/\S+:/etc/\S+:ro", mount)] == []
    # Docker makes an empty folder of what it does not find.
    assert [mount for mount in of_host if not (ROOT / mount.split(":")[0]).exists()] == []
    assert {mount.split(":")[0] for mount in mounts - of_host} == set(RAW["volumes"])


def test_the_suggested_connectors_file_is_among_the_mounted() -> None:
    assert (ROOT / Path(CONNECTORS).relative_to("/opt/airflow")).is_file()
    assert f": {CONNECTORS}\n" in (ROOT / ".env.example").read_text("utf-8")
    given = resolved({"CURRENTS_CONNECTORS": "/opt/airflow/include/mine.yaml"})["services"]["airflow-worker"]
    assert given["environment"]["CURRENTS_CONNECTORS"] == "/opt/airflow/include/mine.yaml"


def test_every_image_is_pinned() -> None:
    named = {service["image"] for service in SERVICES.values()}
    named |= set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    for image in named:
        tag = image.partition(":")[2]
        assert re.match(r"v?\d", tag), f"{image} names no version"


def test_own_images_are_built_here_and_bear_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    built = [service for service in SERVICES.values() if "build" in service]
    # Once each: a Compose that builds side by side fails where two services make one image.
    assert sorted(service["build"]["target"] for service in built) == sorted(targets) == ["airflow", "local-aws"]
    for service in built:
        assert service["image"] == f"currents-export/{service['build']['target']}:{version}"
    # Compose would otherwise ask a registry for the name first.
    own = [service for service in SERVICES.values() if service["image"].startswith("currents-export/")]
    assert all(service["pull_policy"] == ("build" if "build" in service else "never") for service in own)


def test_the_api_server_has_memory_for_itself_and_for_the_questions_of_the_page() -> None:
    most = bounded.PROCESSES * bounded.MEMORY_BYTES + (1 << 30)
    assert int(SERVICES["airflow-apiserver"]["mem_limit"].removesuffix("g")) << 30 >= most
    helm = yaml.safe_load((ROOT / "deploy" / "helm" / "values.yaml").read_text("utf-8"))
    assert int(helm["apiServer"]["resources"]["limits"]["memory"].removesuffix("Gi")) << 30 >= most


def test_the_image_is_of_the_airflow_and_python_that_the_project_pins() -> None:
    assert f"FROM apache/airflow:{pinned('apache-airflow')}-python3.11 AS airflow" in DOCKERFILE
    assert "FROM python:3.11-slim AS local-aws" in DOCKERFILE


def test_the_image_adds_to_the_pins_only_that_celery_stays_below_5_7() -> None:
    install = next(line for line in DOCKERFILE.splitlines() if "--requirement" in line)
    assert re.findall(r'"?([\w-]+)(?:==|[<>=~!]+)\S+', install) == ["apache-airflow", "celery"]
    assert '"celery<5.7"' in install


def test_include_is_importable_in_the_containers() -> None:
    assert COMMON["environment"]["PYTHONPATH"] == "/opt/airflow/include:/opt/airflow/plugins"
    assert "ENV PYTHONPATH=/opt/airflow/include:/opt/airflow/plugins\n" in DOCKERFILE


def copied() -> list[str]:
    """The sources of every COPY."""
    lines = re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1] if not source.startswith("--")]


def test_what_is_copied_exists_and_reaches_the_engine() -> None:
    assert {"requirements.lock", "dags", "plugins", "include", "tests/tools"} <= set(copied())
    assert [source for source in copied() if not (ROOT / source).exists()] == []
    ignore = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in ignore
    assert {line[1:] for line in ignore if line.startswith("!")} == set(copied())


def test_a_connectors_file_is_not_in_the_image() -> None:
    # Or each change of one would make another image, and the next `up` replace every part of Airflow.
    ignore = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert {"include/**/*.yaml", "include/**/*.yml"} <= set(ignore[ignore.index("!include") :])


def third_party(module: str, seen: set[str]) -> set[str]:
    """Top-level names of what a module of tests.tools imports from outside, itself or through its neighbours."""
    seen.add(module)
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    own = {name for name in names if name.startswith("tests.tools.")}
    found = {name.split(".")[0] for name in names - own} - sys.stdlib_module_names
    for neighbour in own - seen:
        found |= third_party(neighbour, seen)
    return found


# What local AWS shares with the code itself.
OURS = {"cbor2", "orjson"}


def test_local_aws_has_what_it_imports_at_the_pinned_versions() -> None:
    install = next(line for line in DOCKERFILE.splitlines() if "--constraint" in line)
    packages = set(re.findall(r"\b(moto|cbor2|httpx|orjson|starlette|uvicorn)\b", install))
    # These come with moto.
    assert third_party("tests.tools.local_aws", set()) - {"boto3", "botocore", "cryptography"} == packages
    for package in packages - OURS:
        pinned(package, "requirements-dev.lock")
    for package in OURS:
        pinned(package)


def test_local_aws_serves_outside_its_container() -> None:
    command = ["python", "-m", "tests.tools.local_aws", "--host", "0.0.0.0", "--port", "5000", "--forever"]
    assert f"CMD {json.dumps(command)}\n" in DOCKERFILE
    assert "command" not in SERVICES["local-aws"]


def test_the_script_of_init_is_a_script() -> None:
    shell, options, script = resolved()["services"]["airflow-init"]["command"]
    assert (shell, options) == ("bash", "-ec")
    subprocess.run(["bash", "-n", "-c", script], check=True)
    for line in (
        "airflow db migrate",
        "airflow users create",
        "airflow connections add aws_default",
    ):
        assert line in script


def test_settings_are_those_of_the_local_airflow(tmp_path: Path) -> None:
    local = {name: value for name, value in airflow_env(tmp_path).items() if name.startswith("AIRFLOW__")}
    composed = resolved()["services"]["airflow-scheduler"]["environment"]
    shared = set(local) & set(composed)
    assert "AIRFLOW__CORE__LOAD_EXAMPLES" in shared
    assert {name for name in shared if local[name] != composed[name]} == set(DIFFERENT)
