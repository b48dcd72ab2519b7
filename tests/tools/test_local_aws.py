from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from tests.tools.airflow_env import ROOT
from tests.tools.local_aws import LocalAws, local_aws

# A parent that starts local AWS, tells where, and then sleeps until it is killed.
PARENT = """
import time
from tests.tools.local_aws import local_aws
with local_aws() as aws:
    print(aws.endpoint, flush=True)
    time.sleep(60)
"""


def is_up(endpoint: str) -> bool:
    try:
        return httpx.get(f"{endpoint}/_front/counts", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def goes_down(endpoint: str, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not is_up(endpoint):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_it_does_not_outlive_whoever_started_it(sign: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout
        endpoint = parent.stdout.readline().strip()
        assert is_up(endpoint)
        parent.send_signal(sign)
        assert goes_down(endpoint)


def test_a_port_that_is_taken_is_told() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(RuntimeError, match=r"did not start.*in use"),
        local_aws(taken.getsockname()[1]),
    ):
        pytest.fail("it must not start")


def test_the_environment_points_clients_here(aws: LocalAws) -> None:
    code = "import boto3, json; print(json.dumps(boto3.client('sqs').meta.endpoint_url))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], **aws.environment()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(run.stdout) == aws.endpoint
