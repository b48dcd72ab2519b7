"""The local Airflow, whole, as `make up` starts it: a run is triggered through its API, and one signal ends it all."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.tools.airflow_env import PYTHONPATH, ROOT
from tests.tools.airflow_parts import SOON
from tests.tools.awaiting import wait_for
from tests.tools.processes import family_of, living
from tests.tools.up import free_port

pytestmark = pytest.mark.slow

START = "import sys; from pathlib import Path; from tests.tools.up import main; sys.exit(main({port}, Path({home!r})))"
DAG = "/api/v2/dags/currents_export_demo"


def start(port: int, home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START.format(port=port, home=str(home))],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def up(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """A running `make up`: its process, its port, and what it said on starting."""
    port = free_port()
    with start(port, tmp_path) as process:
        assert process.stdout
        said = ""
        while "Ctrl-C stops everything" not in said:
            line = process.stdout.readline()
            assert line, f"{said}\n{(tmp_path / 'airflow.log').read_text()[-2000:]}"
            said += line
        yield process, port, said
        process.send_signal(signal.SIGINT)


def trigger(client: httpx.Client, hour: str) -> httpx.Response | None:
    """Triggers a run for the hour; None if SQLite was written by another at that moment, which is no fault of ours."""
    response = client.post(f"{DAG}/dagRuns", json={"logical_date": None, "conf": {"hour": hour}})
    if response.status_code == 500 and "Database error" in response.text:
        return None
    assert response.status_code == 200, response.text
    return response


def kill_scheduler(pid: int) -> None:
    """Kills the scheduler of the Airflow that this process started, once that has run for long enough."""
    [killed] = [each for each in family_of(pid) if "scheduler" in each.cmdline()]
    wait_for(60, lambda: time.time() - killed.create_time() > SOON + 1)
    killed.kill()
    # Whoever started it sees its end.
    wait_for(60, lambda: not killed.is_running())


def processes_of(home: Path) -> list[psutil.Process]:
    """The living processes whose environment names ``home``."""
    found = []
    for each in psutil.process_iter():
        with suppress(psutil.Error):
            if each.pid != os.getpid() and each.environ().get("AIRFLOW_HOME") == str(home):
                found.append(each)
    return living(found)


def listening(processes: list[psutil.Process]) -> set[tuple[str, int]]:
    """Where processes listen for TCP connections: each address and port."""
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            held = process.net_connections(kind="tcp")
            found |= {(each.laddr.ip, each.laddr.port) for each in held if each.status == psutil.CONN_LISTEN}
    return found


def test_a_socket_that_listens_everywhere_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as here, socket.create_server(("", 0)) as everywhere:
        assert {here.getsockname(), everywhere.getsockname()} <= listening([psutil.Process()])
        assert everywhere.getsockname()[0] == "0.0.0.0"


@pytest.mark.timeout(600)
def test_it_listens_on_this_machine_alone_and_to_no_foreign_page(
    up: tuple[subprocess.Popen[str], int, str],
) -> None:
    process, port, _ = up
    found = listening(family_of(process.pid))
    assert ("127.0.0.1", port) in found
    assert len(found) > 1, "local AWS listens, too"
    assert [address for address, _ in found if address != "127.0.0.1"] == []

    def status(method: str, path: str, **headers: str) -> int:
        url = f"http://127.0.0.1:{port}{path}"
        return httpx.request(method, url, headers=headers, trust_env=False, timeout=60).status_code

    own = f"http://127.0.0.1:{port}"
    for path in ("/auth/token", "/api/v2/dags", "/", "/execution/health"):
        assert status("GET", path) in (200, 201), path
        assert status("GET", path, host="localhost") in (200, 201), path
        assert status("GET", path, host=f"rebound.example:{port}") == 400, path
        assert status("GET", path, origin=own) in (200, 201), path
        for foreign in (
            "http://a.example",
            "null",
            f"http://127.0.0.1:{port + 1}",
            f"http://127.0.0.1.a.example:{port}",
        ):
            assert status("GET", path, origin=foreign) == 403, f"{path} {foreign}"
    assert status("POST", f"{DAG}/dagRuns", origin="http://a.example") == 403


@pytest.mark.timeout(600)
def test_an_hour_is_triggered_without_a_login_and_one_signal_ends_everything(
    up: tuple[subprocess.Popen[str], int, str], tmp_path: Path
) -> None:
    process, port, said = up
    hour = re.findall(r"\d{4}-\d\d-\d\d-\d\d", said)[0]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
        token = client.get("/auth/token").json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        triggered = wait_for(120, lambda: trigger(client, hour))
        run = f"{DAG}/dagRuns/{triggered.json()['dag_run_id']}"
        state = wait_for(300, lambda: (state := client.get(run).json()["state"]) in ("success", "failed") and state)
        tasks = {
            each["task_id"]: (each["state"], each["rendered_map_index"])
            for each in client.get(f"{run}/taskInstances").json()["task_instances"]
        }
        assert state == "success", tasks
        assert tasks["deliver"][0] == "success", tasks
        assert "12 files" in tasks["deliver"][1]
        kill_scheduler(process.pid)
        again = wait_for(120, lambda: trigger(client, hour)).json()["dag_run_id"]
        assert wait_for(300, lambda: client.get(f"{DAG}/dagRuns/{again}").json()["state"] == "success")
    family = family_of(process.pid)
    assert len(family) > 5, "of all parts"
    process.send_signal(signal.SIGINT)
    assert process.stdout
    last_words = process.stdout.read()
    process.wait(timeout=40)
    assert process.returncode == 0
    assert "\nStopping Airflow: waiting up to 20 s for its tasks" in last_words
    assert last_words.endswith("\nStopped.\n")
    assert living(family) == []
    assert processes_of(tmp_path) == []


# Stops a process that takes no notice of SIGINT, other than saying "asked". It could not do so if the tests were
# started in the background of a shell, which has them ignore the signal.
STOP_A_STUBBORN_ONE = """
import signal, subprocess
from tests.tools.up import _stop
signal.signal(signal.SIGINT, signal.default_int_handler)
stubborn = "trap 'echo asked >&2' INT; echo ready; while true; do sleep 0.1; done"
process = subprocess.Popen(["sh", "-c", stubborn], stdout=subprocess.PIPE, start_new_session=True)
process.stdout.readline()
_stop(process)
print("killed by", -process.returncode)
"""


def test_another_interrupt_kills_what_does_not_end() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STOP_A_STUBBORN_ONE],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as stopping:
        assert stopping.stderr
        assert stopping.stderr.readline() == "asked\n"
        stopping.send_signal(signal.SIGINT)
        said, _ = stopping.communicate(timeout=60)
    assert said == f"killed by {signal.SIGKILL}\n"


def test_a_port_that_is_taken_is_told_with_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, start(taken.getsockname()[1], tmp_path) as process:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 1
        assert "Address already in use; stop what uses it, or say make up PORT=8081" in said
