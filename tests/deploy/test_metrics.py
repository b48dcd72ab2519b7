"""The profile `metrics`: what connectors send arrives in Prometheus under a name that the dashboard shows."""

from __future__ import annotations

import ast
import json
import os
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from currents_core.setup.settings import Connector
from tests.tools.airflow_env import ROOT, airflow_env

DEPLOY = ROOT / "deploy"
BOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "currents.json").read_text("utf-8"))
PANELS: list[dict[str, Any]] = BOARD["panels"]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text("utf-8"))["services"]

MAPPINGS: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "statsd.yaml").read_text("utf-8"))["mappings"]

# How a call of currents_airflow.metrics reaches StatsD, in the protocol and in the words of the mapping.
KINDS = {"count": "counter", "gauge": "gauge"}
PROTOCOL = {"c": "counter", "g": "gauge"}
METRIC = re.compile(r"\bcurrents_\w+")

SEND = """
import sys
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils
from currents_airflow import metrics

stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=True)
for line in sys.argv[1:]:
    kind, name = line.split()
    getattr(metrics, kind)("orders_2", **{name: 7})
"""


class Metric(NamedTuple):
    """A metric as Prometheus has it."""

    name: str
    connector: str


def yaml_of(*parts: str) -> Any:
    return yaml.safe_load(DEPLOY.joinpath(*parts).read_text("utf-8"))


def sent() -> dict[str, str]:
    """The metrics that the code sends, each with the function of currents_airflow.metrics that it is given to."""
    found: dict[str, str] = {}
    for path in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if isinstance(node.func.value, ast.Name) and node.func.value.id == "metrics":
                assert all(keyword.arg for keyword in node.keywords), f"{path}: names must be written down"
                found |= {str(keyword.arg): node.func.attr for keyword in node.keywords}
    return found


def mapped(name: str, kind: str) -> Metric | None:
    """What statsd-exporter makes of a metric: the first mapping of its kind that matches, or None.

    A star stands for one part between dots, and $n for what the n-th star stands for:
    https://github.com/prometheus/statsd_exporter#glob-matching
    """
    parts = name.split(".")
    for mapping in MAPPINGS:
        pattern = mapping["match"].split(".")
        if mapping["match_metric_type"] != kind or len(pattern) != len(parts):
            continue
        if all(wanted in ("*", part) for wanted, part in zip(pattern, parts, strict=True)):
            stars = [part for wanted, part in zip(pattern, parts, strict=True) if wanted == "*"]

            def fill(template: str, stars: list[str] = stars) -> str:
                return re.sub(r"\$\{?(\d+)\}?", lambda match: stars[int(match[1]) - 1], template)

            return Metric(fill(mapping["name"]), fill(mapping["labels"]["connector"]))
    return None


def in_prometheus() -> set[str]:
    """The names under which Prometheus has what the code sends."""
    found = {mapped(f"airflow.currents.orders.{name}", KINDS[function]) for name, function in sent().items()}
    assert None not in found
    return {metric.name for metric in found if metric}


def queries() -> Iterator[tuple[str, str]]:
    """Every query of the dashboard, with where it stands."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in BOARD["templating"]["list"]:
        yield variable["name"], variable["query"]["query"]


@pytest.fixture
def statsd() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        yield server


def test_the_metrics_are_those_of_the_docs() -> None:
    text = (ROOT / "docs" / "operating.md").read_text("utf-8")
    rows = re.findall(r"^\| (`.+`) \| (counter|gauge) \|", text[text.index("## Monitoring") :], re.MULTILINE)
    documented = {name: kind for names, kind in rows for name in re.findall(r"`(\w+)`", names)}
    assert {name: KINDS[function] for name, function in sent().items()} == documented


def test_what_airflow_sends_under_the_settings_of_compose_is_mapped(statsd: socket.socket, tmp_path: Path) -> None:
    settings = SERVICES["airflow-worker"]["environment"]
    environment = {
        **os.environ,
        **airflow_env(tmp_path),
        **{name: value for name, value in settings.items() if name.startswith("AIRFLOW__METRICS__")},
        "AIRFLOW__METRICS__STATSD_ON": "true",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(statsd.getsockname()[1]),
    }
    environment["PYTHONPATH"] += f":{ROOT / 'plugins'}"
    calls = [f"{function} {name}" for name, function in sent().items()]
    subprocess.run([sys.executable, "-c", SEND, *calls], env=environment, check=True, timeout=300, cwd=ROOT)
    found: set[Metric | None] = set()
    while len(found) < len(calls):
        name, value, kind = re.split(r"[:|]", statsd.recv(65_536).decode())
        # Airflow tells of itself, too.
        if name.startswith("airflow.currents."):
            assert float(value) == 7
            found.add(mapped(name, PROTOCOL[kind]))
    assert found == {Metric(name, "orders_2") for name in in_prometheus()}


@given(name=st.from_regex(TypeAdapter(Connector).json_schema()["properties"]["name"]["pattern"].replace(r"\Z", "$")))
def test_every_name_of_a_connector_becomes_its_label(name: str) -> None:
    connector = name.rstrip("\n")
    assert mapped(f"airflow.currents.{connector}.files_open", "gauge") == Metric("currents_files_open", connector)
    assert mapped(f"airflow.currents.{connector}.requests", "counter") == Metric("currents_requests_total", connector)


@pytest.mark.parametrize(
    "name", ["airflow.currents.orders", "airflow.currents.a.b.requests", "currents.orders.requests", "airflow.dag.a.b"]
)
def test_what_is_not_a_connectors_is_not_mapped(name: str) -> None:
    assert mapped(name, "counter") is None


def test_the_mapping_is_one_that_statsd_exporter_takes() -> None:
    # The rules of its pkg/mapper: parts of a match, and what a name is made of.
    part, reference = r"(\*|[a-zA-Z_][a-zA-Z0-9_\-]*)", r"\$\{?\d+\}?"
    for mapping in MAPPINGS:
        assert set(mapping) <= {"match", "match_metric_type", "name", "labels", "ttl"}
        assert re.fullmatch(rf"{part}(\.{part})*", mapping["match"])
        assert re.fullmatch(rf"([a-zA-Z_]|{reference})([a-zA-Z0-9_]|{reference})*", mapping["name"])
        used = re.findall(r"\$\{?(\d+)", mapping["name"] + mapping["labels"]["connector"])
        assert sorted(used) == [str(number + 1) for number in range(mapping["match"].count("*"))]


def test_only_what_every_run_tells_expires() -> None:
    # A counter that expired would begin at zero again, which looks like a restart.
    expires = {mapping["match_metric_type"]: "ttl" in mapping for mapping in MAPPINGS}
    assert expires == {"counter": False, "gauge": True}


def test_the_dashboard_shows_every_metric_and_names_no_other() -> None:
    assert {name for _, query in queries() for name in METRIC.findall(query)} == in_prometheus()


def test_every_query_is_of_the_chosen_connectors() -> None:
    for title, query in queries():
        if not query.startswith("label_values("):
            assert METRIC.sub("", query).count('{connector=~"$connector"}') == len(METRIC.findall(query)) == 1, title


def test_counters_are_shown_as_what_they_grew_by() -> None:
    grown = re.compile(r"increase\(currents_\w+_total\{[^}]*\}\[1h\]\)")
    for title, query in queries():
        assert query.startswith("label_values(") or ("_total" in query) == bool(grown.search(query)), title


def test_panels_have_ids_and_places_of_their_own() -> None:
    assert [each for each, count in Counter(panel["id"] for panel in PANELS).items() if count > 1] == []
    assert [each for each, count in Counter(panel["title"] for panel in PANELS).items() if count > 1] == []
    for panel in PANELS:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24, panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
    for one, other in combinations(PANELS, 2):
        a, b = one["gridPos"], other["gridPos"]
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        below = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or below, (one["title"], other["title"])


def test_the_dashboard_asks_the_data_source_that_is_there() -> None:
    (source,) = yaml_of("grafana", "datasources", "prometheus.yaml")["datasources"]
    named = [*PANELS, *BOARD["templating"]["list"], *(target for panel in PANELS for target in panel["targets"])]
    assert {(each["datasource"]["type"], each["datasource"]["uid"]) for each in named} == {
        (source["type"], source["uid"])
    }
    host, port = re.fullmatch(r"http://([\w-]+):(\d+)", source["url"]).groups()  # type: ignore[union-attr]
    assert f"127.0.0.1:{port}:{port}" in SERVICES[host]["ports"]


def test_prometheus_asks_the_exporter_where_its_health_check_does() -> None:
    (job,) = yaml_of("prometheus.yaml")["scrape_configs"]
    ((target,),) = (each["targets"] for each in job["static_configs"])
    host, _, port = target.partition(":")
    assert f"http://127.0.0.1:{port}/metrics" in SERVICES[host]["healthcheck"]["test"]


def test_each_program_reads_the_file_that_is_mounted_for_it() -> None:
    def inside(service: str) -> dict[str, str]:
        """Paths in the container of what is mounted from `deploy`."""
        mounts = [mount.split(":") for mount in SERVICES[service]["volumes"]]
        return {mount[1]: mount[0] for mount in mounts if mount[0].startswith("./deploy/")}

    assert inside("statsd-exporter") == {
        SERVICES["statsd-exporter"]["command"][0].removeprefix("--statsd.mapping-config="): "./deploy/statsd.yaml"
    }
    assert inside("prometheus") == {
        SERVICES["prometheus"]["command"][0].removeprefix("--config.file="): "./deploy/prometheus.yaml"
    }
    (provider,) = yaml_of("grafana", "dashboards", "provider.yaml")["providers"]
    folders = inside("grafana")
    assert folders[provider["options"]["path"]] == "./deploy/grafana/dashboards"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/currents.json"
    assert folders["/etc/grafana/provisioning/datasources"] == "./deploy/grafana/datasources"
