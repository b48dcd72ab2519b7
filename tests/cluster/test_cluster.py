"""The scheduler's tests that matter on Airflow's distributed engine, and the cluster itself.

These are what slots, queues and priorities decide, and what several workers share: backfills, clears, redrives and live
hours. Forms and approvals are the same on any engine. The cluster is that of docker-compose.yaml, with processes in
place of containers.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from urllib.parse import quote

import httpx
import psutil
import pytest

from tests.cluster.stage import cluster_stage
from tests.dags.stage import HOUR, Export, Stage
from tests.dags.test_scheduling import (
    BUSY,
    CONNECTORS,
    export,
    test_backfills_of_many_connectors_leave_live_hours_their_slots,
    test_clearing_shards_or_a_whole_run_sends_only_what_did_not_go,
    test_dead_letters_are_sent_again_and_only_what_went_leaves_them,
    test_hours_are_backfilled_once_whichever_way,
    test_the_last_hour_runs_by_itself_after_its_delay_and_delivers_what_had_no_run,
)
from tests.tools.awaiting import wait_for
from tests.tools.cluster import Cluster
from tests.tools.compose import services

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1_800)]
__all__ = [
    "export",
    "test_backfills_of_many_connectors_leave_live_hours_their_slots",
    "test_clearing_shards_or_a_whole_run_sends_only_what_did_not_go",
    "test_dead_letters_are_sent_again_and_only_what_went_leaves_them",
    "test_hours_are_backfilled_once_whichever_way",
    "test_the_last_hour_runs_by_itself_after_its_delay_and_delivers_what_had_no_run",
]

# What differs from docker-compose.yaml, and why.
DIFFERENT = {
    "PYTHONPATH": "the folders are not /opt/airflow's",
    "AIRFLOW__CORE__DAGS_FOLDER": "likewise",
    "AIRFLOW__CORE__PLUGINS_FOLDER": "likewise",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "ports are free ones of this machine",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "likewise",
    "AIRFLOW__CELERY__RESULT_BACKEND": "likewise",
    "AIRFLOW__CELERY__BROKER_URL": "likewise",
}
# What every part has besides.
MORE = {
    "AIRFLOW__API__HOST",
    "AIRFLOW__API__PORT",
    "AIRFLOW__API__BASE_URL",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT",
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Cluster]]:
    with cluster_stage(tmp_path_factory.mktemp("cluster"), CONNECTORS) as found:
        yield found


@pytest.fixture(scope="module")
def stage(both: tuple[Stage, Cluster]) -> Stage:
    return both[0]


@pytest.fixture(scope="module")
def running(both: tuple[Stage, Cluster]) -> Cluster:
    return both[1]


def test_its_settings_are_those_of_compose(running: Cluster) -> None:
    told = {**os.environ, **dict.fromkeys(("POSTGRES_PASSWORD", "REDIS_PASSWORD", "CURRENTS_CONNECTORS"), "x")}
    keys = {"AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET"}
    composed = services({**told, **dict.fromkeys({*keys, "_AIRFLOW_WWW_USER_PASSWORD"}, "x")})
    for name, part in running.parts.items():
        here = part.environment
        said = composed["airflow-worker" if name.startswith("airflow-worker") else name]["environment"]
        settings = {key: str(value) for key, value in said.items() if key.startswith(("AIRFLOW__", "PYTHON"))}
        assert {key for key, value in settings.items() if here.get(key) != value} == {*DIFFERENT, *keys}
        assert {key for key in here if key.startswith("AIRFLOW__")} - settings.keys() == MORE


def test_every_part_is_healthy_and_a_stopped_one_is_not(running: Cluster) -> None:
    for name in running.checks:
        wait_for(180, partial(running.check, name))
    scheduler = running.parts["airflow-scheduler"]
    assert scheduler.process
    before = scheduler.restarts
    scheduler.process.send_signal(signal.SIGSTOP)
    try:
        # It says so once the scheduler has not beaten for half a minute.
        wait_for(400, lambda: not running.check("airflow-scheduler"))
    finally:
        scheduler.process.kill()
    wait_for(400, lambda: running.check("airflow-scheduler"))
    assert scheduler.restarts == before + 1, "what ends by itself is started again"


def test_init_may_run_again_and_keeps_what_people_changed(running: Cluster) -> None:
    init = running.init
    assert init
    init.environment = {**init.environment, "_AIRFLOW_WWW_USER_USERNAME": "somebody"}
    with running.client() as client:
        told = {"connection_id": "aws_default", "conn_type": "aws", "login": "a login"}
        assert client.patch("connections/aws_default", json=told).is_success
        assert init.run() == 0, init.log.read_text("utf-8")[-2_000:]
        assert client.get("connections/aws_default").json()["login"] == "a login"
        assert client.delete("connections/aws_default").is_success
        assert init.run() == 0
        assert client.get("connections/aws_default").is_success, "what is missing is made again"
    assert init.log.read_text("utf-8").count('User "admin" created') == 1
    assert "somebody" not in init.log.read_text("utf-8")


def test_a_restart_of_the_queue_hands_out_no_running_task_again(stage: Stage, running: Cluster) -> None:
    export = Export(stage, BUSY[0])
    export.put(HOUR, rows=1_000)
    export.dag.switch_on()
    run = export.dag.trigger(hour=HOUR)
    wait_for(400, lambda: any(task["state"] == "running" for task in export.dag.shards(run)))
    connected = _said(running, "Connected to")
    running.redis.kill()
    running.redis.start()
    wait_for(
        400, lambda: all(now > before for before, now in zip(connected, _said(running, "Connected to"), strict=True))
    )
    assert export.dag.ended(run) == "success"
    taken = Counter(re.findall(r"Task execute_workload\[(\S+)\] received", "".join(_logs(running))))
    assert set(taken.values()) == {1}


def test_the_delivery_page_reads_runs_from_postgres(stage: Stage, running: Cluster) -> None:
    name, hour = BUSY[1], "2025-06-01-10"
    export = Export(stage, name)
    export.put(hour, rows=300)
    export.dag.switch_on()
    run = export.dag.trigger(hour=hour)
    with running.client() as client:

        def page(path: str) -> str:
            return client.get(f"http://127.0.0.1:{running.port}/currents/{path}").raise_for_status().text

        wait_for(400, lambda: run in page(f"c/{name}/now"))
        assert export.dag.ended(run) == "success"
        assert hour in page(f"dag/{export.dag.name}/runs/{quote(run)}")
        assert "complete" in page(f"c/{name}/hours/{hour}")


def test_nobody_is_answered_without_a_login(running: Cluster) -> None:
    address = f"http://127.0.0.1:{running.port}"
    for path in ("/api/v2/dags", "/currents/"):
        assert httpx.get(f"{address}{path}", timeout=60).status_code == HTTPStatus.UNAUTHORIZED
    told = {"username": "admin", "password": "admin"}
    assert httpx.post(f"{address}/auth/token", json=told, timeout=60).status_code == HTTPStatus.UNAUTHORIZED


def test_it_listens_on_the_loopback_alone(running: Cluster) -> None:
    listening = set()
    for process in running.processes():
        with suppress(psutil.NoSuchProcess):
            found = process.net_connections("inet")
            listening |= {(each.laddr.ip, each.laddr.port) for each in found if each.status == psutil.CONN_LISTEN}
    assert {ip for ip, _ in listening} == {"127.0.0.1"}
    assert {running.port, running.postgres.port, running.redis.port} <= {port for _, port in listening}


def _logs(running: Cluster) -> list[str]:
    """What each worker has printed so far."""
    return [worker.log.read_text("utf-8") for worker in running.workers]


def _said(running: Cluster, text: str) -> list[int]:
    """How often each worker has printed a text."""
    return [log.count(text) for log in _logs(running)]
