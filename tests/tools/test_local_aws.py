from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.tools import local_aws as module
from tests.tools.airflow_env import PYTHONPATH, ROOT
from tests.tools.local_aws import LocalAws, local_aws
from tests.tools.processes import is_alive

COMMAND = [sys.executable, "-m", "tests.tools.local_aws"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": PYTHONPATH}

# A parent that starts local AWS as a child of its own, tells its pid and endpoint, and sleeps until it is killed.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-m", "tests.tools.local_aws"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
print(child.pid, child.stdout.readline().decode(), flush=True)
time.sleep(60)
"""


@contextmanager
def started(*arguments: str, stdin: int = subprocess.PIPE) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The module run as a program, and its endpoint."""
    outputs: dict[str, Any] = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*COMMAND, *arguments], cwd=ROOT, env=ENVIRONMENT, text=True, **outputs) as process:
        try:
            assert process.stdout
            yield process, json.loads(process.stdout.readline())["endpoint"]
        finally:
            process.kill()


def is_up(endpoint: str) -> bool:
    try:
        return httpx.get(f"{endpoint}/_front/counts", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_it_tells_its_endpoint_in_one_line_and_ends_with_its_standard_input() -> None:
    with started() as (process, endpoint):
        assert is_up(endpoint)
        outputs = process.communicate(timeout=120)
        assert (process.returncode, outputs) == (0, ("", ""))
    assert not is_up(endpoint)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("arguments", [[], ["--forever"]])
def test_a_signal_ends_it_quietly(sign: signal.Signals, arguments: list[str]) -> None:
    with started(*arguments) as (process, endpoint):
        assert is_up(endpoint)
        process.send_signal(sign)
        assert process.wait(20) == 0
        assert process.stderr
        assert process.stderr.read() == ""


def test_it_may_serve_without_a_standard_input() -> None:
    with started("--forever", stdin=subprocess.DEVNULL) as (process, endpoint):
        time.sleep(0.5)
        assert is_up(endpoint)
        assert process.poll() is None


def test_it_does_not_outlive_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        pid, _, line = parent.stdout.readline().decode().partition(" ")
        endpoint = json.loads(line)["endpoint"]
        assert is_up(endpoint)
        parent.kill()
    deadline = time.monotonic() + 10
    while is_alive(int(pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(int(pid))
    assert not is_up(endpoint)


def test_a_port_that_is_taken_is_told() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(RuntimeError, match=r"(?s)did not start on port \d+.*already in use"),
        local_aws(taken.getsockname()[1]),
    ):
        pytest.fail("it must not start")


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that are started from here on."""
    noted: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            noted.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return noted


def test_a_start_that_takes_too_long_is_given_up(
    monkeypatch: pytest.MonkeyPatch, processes: list[subprocess.Popen[bytes]]
) -> None:
    monkeypatch.setattr(module, "START_SECONDS", 0.01)
    with pytest.raises(RuntimeError, match=r"within 0\.01 seconds"), local_aws():
        pytest.fail("it can't have started")
    assert processes[0].returncode is not None


def test_a_process_that_does_not_end_is_killed(
    monkeypatch: pytest.MonkeyPatch, processes: list[subprocess.Popen[bytes]]
) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 0.2)
    with local_aws():
        processes[0].send_signal(signal.SIGSTOP)
    assert processes[0].returncode == -signal.SIGKILL


def test_the_environment_points_clients_here_whatever_certificates_it_names(aws: LocalAws) -> None:
    code = "import boto3; s3 = boto3.client('s3'); s3.list_buckets(); print(s3.meta.endpoint_url)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], "AWS_CA_BUNDLE": "/no/such/file", **aws.environment()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == aws.endpoint
