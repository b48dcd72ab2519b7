"""Local AWS: moto for S3, EventBridge and SQS, behind the strict front. Nothing leaves this machine.

    python -m tests.tools.local_aws [--host 127.0.0.1] [--port 0] [--forever]

prints one line of JSON with its endpoint once it serves, and ends with its standard input: when whoever started it
dies, however suddenly, it does not stay behind.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.tools.airflow_env import ROOT

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass(frozen=True)
class LocalAws:
    """A running local AWS."""

    endpoint: str

    def environment(self) -> dict[str, str]:
        """What points AWS clients here."""
        return {"AWS_ENDPOINT_URL": self.endpoint, **CREDENTIALS}

    def client(self, service: str) -> Any:
        """A boto3 client of a service."""
        import boto3

        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.endpoint,
            region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def counts(self) -> dict[str, Any]:
        """What the front has seen, in numbers."""
        return dict(self._get("/_front/counts").json())

    def accepted(self, after: int = 0) -> list[dict[str, Any]]:
        """The entries that the front accepted, in order, from number ``after`` on."""
        return [json.loads(line) for line in self._get(f"/_front/accepted?after={after}").text.splitlines()]

    def forget(self) -> None:
        """Begins the front's record anew."""
        httpx.delete(f"{self.endpoint}/_front/accepted", trust_env=False).raise_for_status()

    def _get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.endpoint}{path}", trust_env=False, timeout=60).raise_for_status()


@contextmanager
def local_aws(port: int = 0) -> Iterator[LocalAws]:
    """Starts local AWS in a process of its own and stops it at the end. Raises RuntimeError where it does not start."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.tools.local_aws", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Ctrl-C is for whoever started this: its exit closes the pipe, which is how this process ends.
        start_new_session=True,
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            _, errors = process.communicate(timeout=10)
            raise RuntimeError(f"local AWS did not start on port {port}: {errors.strip().splitlines()[-1:]}")
        threading.Thread(target=_drain, args=[process.stderr], daemon=True).start()
        yield LocalAws(json.loads(line)["endpoint"])
    finally:
        _stop(process)


def _drain(stream: Any) -> None:
    """Reads what nobody looks at, so that the writer never waits for room in the pipe."""
    for _ in stream:
        pass


def _stop(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.close()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdout, process.stderr):
        assert stream
        stream.close()


def serve(host: str, port: int, *, forever: bool) -> None:
    """Serves until the standard input ends, or for ever."""
    import uvicorn
    from moto.server import ThreadedMotoServer

    from tests.tools.front import Front

    os.environ.update(CREDENTIALS)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    moto_host, moto_port = moto.get_host_and_port()
    app = Front(f"http://{moto_host}:{moto_port}").app()
    with socket.create_server((host, port), backlog=512) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        if not forever:
            threading.Thread(target=_end_with_stdin, args=[server], daemon=True).start()
        print(json.dumps({"endpoint": f"http://{host}:{listening.getsockname()[1]}"}), flush=True)
        server.run([listening])
    moto.stop()


def _end_with_stdin(server: Any) -> None:
    sys.stdin.read()
    server.should_exit = True


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Local AWS for the demo and the tests")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--forever", action="store_true", help="do not end with the standard input")
    arguments = parser.parse_args()
    serve(arguments.host, arguments.port, forever=arguments.forever)
