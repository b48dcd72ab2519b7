"""Who may see the delivery page, with Airflow's own API server and each of its auth managers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.tools.airflow_env import airflow_env
from tests.tools.awaiting import wait_for
from tests.tools.local_aws import local_aws
from tests.tools.up import addresses, free_port, standalone

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]

FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
SIMPLE = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
PASSWORDS = {name: f"{name}'s password" for name in ("admin", "viewer", "orders_only")}
PATHS = (
    "",
    "c/orders/",
    "c/orders/trends",
    "c/orders/find?id=x",
    "c/orders/now",
    "dag/currents_export_orders",
    "dag/currents_export_orders/runs/x",
    "static/page.js",
    "docs",
)


@dataclass
class Site:
    """An API server, and what its users get from it."""

    client: httpx.Client

    def ask(self, path: str, user: str | None, method: str = "GET", **headers: str) -> httpx.Response:
        if user:
            headers["authorization"] = f"Bearer {self.token(user)}"
        return self.client.request(method, f"/currents/{path}", headers=headers)

    def token(self, user: str) -> str:
        answer = self.client.post("/auth/token", json={"username": user, "password": PASSWORDS[user]})
        return str(answer.raise_for_status().json()["access_token"])


@pytest.fixture(scope="module")
def home(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("access")
    shutil.copy(migrated, home / "airflow.db")
    place = {"bucket": "braze", "prefix": "in"}
    destination = {"kind": "event_bus", "name": "bus", "region": "us-east-1"}
    connectors = [
        {"name": name, "source": place, "destination": destination, "state": {"bucket": "state"}}
        for name in ("orders", "mails")
    ]
    (home / "connectors.yaml").write_text(yaml.safe_dump({"connectors": connectors}))
    return home


@pytest.fixture(scope="module", params=[SIMPLE, FAB], ids=["simple", "fab"])
def site(request: pytest.FixtureRequest, home: Path) -> Iterator[Site]:
    port = free_port()
    with local_aws() as aws:
        for bucket in ("braze", "state"):
            aws.client("s3").create_bucket(Bucket=bucket)
        settings = {
            **os.environ,
            **airflow_env(home),
            **aws.environment(),
            **addresses(port),
            "CURRENTS_CONNECTORS": str(home / "connectors.yaml"),
            "AIRFLOW__CORE__AUTH_MANAGER": request.param,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "false",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer,orders_only:viewer",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
            "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of the tests that is longer than 64 characters, as it has to be",
        }
        (home / "passwords.json").write_text(json.dumps(PASSWORDS))
        airflow(settings, "dags", "reserialize")
        if request.param == FAB:
            add_users(settings)
        with standalone(settings, home / "api-server.log", "api-server"):
            wait_for(400, lambda: answers(port))
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
                yield Site(client)


def airflow(settings: Mapping[str, str], *words: str) -> None:
    done = subprocess.run(["airflow", *words], env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def add_users(settings: Mapping[str, str]) -> None:
    """An administrator, a viewer of all DAGs, and somebody who may read one of them alone."""
    airflow(settings, "fab-db", "migrate")
    airflow(settings, "sync-perm", "--include-dags")
    airflow(settings, "roles", "create", "OrdersOnly")
    # Of a DAG, `can_read` is enough; the website is what any page of Airflow needs.
    airflow(settings, "roles", "add-perms", "OrdersOnly", "-r", "DAG:currents_export_orders", "-a", "can_read")
    airflow(settings, "roles", "add-perms", "OrdersOnly", "-r", "Website", "-a", "can_read")
    for name, role in (("admin", "Admin"), ("viewer", "Viewer"), ("orders_only", "OrdersOnly")):
        words = ["-u", name, "-p", PASSWORDS[name], "-r", role, "-f", name, "-l", name, "-e", f"{name}@example.com"]
        airflow(settings, "users", "create", *words)


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/api/v2/version", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("path", PATHS)
def test_nobody_sees_anything_without_logging_in(site: Site, path: str) -> None:
    answer = site.ask(path, None)
    assert answer.status_code in ((401, 404) if path == "docs" else (401,))
    assert "orders" not in answer.text


@pytest.mark.parametrize("user", ["admin", "viewer"])
def test_who_may_read_the_dags_sees_their_connectors(site: Site, user: str) -> None:
    text = site.ask("", user).text
    assert '/c/orders/">orders</a>' in text
    assert '/c/mails/">mails</a>' in text
    answer = site.ask("c/orders/", user)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert site.ask("docs", user).status_code == site.ask("openapi.json", user).status_code == 404


def test_a_connector_whose_dag_one_may_not_read_is_as_one_that_there_is_not(
    site: Site, request: pytest.FixtureRequest
) -> None:
    if "simple" in request.node.callspec.id:
        pytest.skip("the simple auth manager has no rights to single DAGs")
    answer: Any = site.ask("", "orders_only")
    assert answer.status_code == 307
    assert answer.headers["location"].endswith("/c/orders/")
    assert site.ask("c/orders/", "orders_only").status_code == 200
    for path in ("", "trends", "letters", "find?id=x", "now", "source", "hours/2026-11-23-08", "days/2026-11-23"):
        hidden, missing = (site.ask(f"c/{name}/{path}", "orders_only") for name in ("mails", "nails"))
        assert hidden.status_code == missing.status_code == 404
        assert hidden.text.replace("mails", "nails") == missing.text


def test_a_run_of_a_dag_that_one_may_not_read_is_as_one_that_there_is_not(
    site: Site, request: pytest.FixtureRequest
) -> None:
    # Both auth managers have the same database.
    run = f"of_{request.node.callspec.id}"
    for dag, conf in (("currents_export_mails", {}), ("currents_redrive", {"connector": "mails"})):
        site.client.post(
            f"/api/v2/dags/{dag}/dagRuns",
            headers={"authorization": f"Bearer {site.token('admin')}"},
            json={"dag_run_id": run, "logical_date": None, "conf": {"hour": "2026-11-23-08", **conf}},
        ).raise_for_status()
        answer = site.ask(f"dag/{dag}/runs/{run}", "admin")
        assert answer.status_code == 200
        assert "2026-11-23-08" in answer.text
        if "simple" not in request.node.callspec.id:
            hidden, missing = (site.ask(f"dag/{dag}/runs/{each}", "orders_only") for each in (run, "none"))
            assert hidden.status_code == missing.status_code == 404
            assert hidden.text == missing.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_requests_of_other_sites_change_nothing(site: Site, method: str) -> None:
    for path in ("c/orders/", "c/orders/letters", "c/orders/find"):
        answer = site.ask(path, "admin", method, origin="https://elsewhere.example")
        assert answer.status_code == 405
    assert (
        "access-control-allow-origin" not in site.ask("c/orders/", "admin", origin="https://elsewhere.example").headers
    )
