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
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import httpx

from tests.tools.airflow_env import PYTHONPATH, ROOT
from tests.tools.fault_plan import FaultPlan

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
START_SECONDS = 240
STOP_SECONDS = 10
PAGE = 10_000


class Arrival(NamedTuple):
    """A PutEvents request: when it came, by this machine's monotonic clock, its entries, and how many were accepted."""

    seconds: float
    entries: int
    accepted: int


@dataclass(frozen=True)
class LocalAws:
    """A running local AWS."""

    endpoint: str

    def environment(self) -> dict[str, str]:
        """What points AWS clients here. The endpoint is plain HTTP, so no certificate setting has a say."""
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
        return dict(self._ask("GET", "/_front/counts").json())

    def accepted(self, after: int = 0) -> list[dict[str, Any]]:
        """The accepted entries as they were sent, in order; the first ``after`` lines are left out.

        What a custom bus had before is not among them.
        """
        lines = self.accepted_lines(after)
        return [line["entry"] for line in lines if line.get("success_code") != "DEDUPLICATED"]

    def accepted_lines(self, after: int = 0) -> list[dict[str, Any]]:
        """The accepted entries, each with its number and bus.

        Where the sender may not have learned of it, the line also has ``"cut": true`` (the connection was closed
        without an answer) or ``"slow": true`` (the answer came late). Those of a custom bus have a ``"success_code"``.
        """
        return list(self.each_accepted_line(after))

    def each_accepted_line(self, after: int = 0) -> Iterator[dict[str, Any]]:
        """The same, without holding all of them in memory."""
        while True:
            # Bytes end lines at \n only; text also at U+2028 and others, which events may hold.
            lines = self._ask("GET", f"/_front/accepted?after={after}&limit={PAGE}").content.splitlines()
            yield from map(json.loads, lines)
            after += len(lines)
            if len(lines) < PAGE:
                return

    def unheard(self) -> set[int]:
        """The accepted entries, counted from 0, whose senders had gone before they were answered, or may have."""
        return {number for start, end in self._ask("GET", "/_front/unheard").json() for number in range(start, end)}

    def arrivals(self) -> list[Arrival]:
        """Every PutEvents request, in order; those that failed are among them."""
        return [Arrival(*each) for each in self._ask("GET", "/_front/arrivals").json()]

    def set_faults(self, plan: FaultPlan) -> None:
        """Has happen from here on what a plan tells; its requests are counted from 1. An empty plan ends it."""
        self._ask("POST", "/_front/faults", content=json.dumps(asdict(plan)))

    def forward(self, seconds: float) -> None:
        """Moves the clock of what the front models forward, until the next reset."""
        self._ask("POST", "/_front/clock", content=str(seconds))

    def register_partner(self, *, is_partner: bool = True) -> None:
        """Has the account be one that may create partner event sources, until the next reset, or no longer."""
        self._ask("POST" if is_partner else "DELETE", "/_front/partner")

    def set_quota(self, value: float, region: str = CREDENTIALS["AWS_DEFAULT_REGION"]) -> None:
        """Has Service Quotas tell so many PutEvents requests a second of a region, until the next reset."""
        self._ask("POST", f"/_front/quotas/{region}", content=str(value))

    def reset(self) -> None:
        """Begins the front's record anew, without any faults, with its clock set right and every switch back."""
        self._ask("DELETE", "/_front/accepted")

    def _ask(self, method: str, path: str, content: str | None = None) -> httpx.Response:
        url = f"{self.endpoint}{path}"
        return httpx.request(method, url, content=content, trust_env=False, timeout=60).raise_for_status()


@contextmanager
def local_aws(port: int = 0) -> Iterator[LocalAws]:
    """Starts local AWS in a process of its own and stops it at the end. Raises RuntimeError where it does not start."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.tools.local_aws", "--port", str(port)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": PYTHONPATH},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            # Ctrl-C is for whoever started this: its exit closes the pipe, which is how this process ends.
            start_new_session=True,
        )
        with process:
            try:
                yield LocalAws(_endpoint(process, port, errors.fileno()))
            finally:
                _stop(process)


def _endpoint(process: subprocess.Popen[bytes], port: int, errors: int) -> str:
    assert process.stdout
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline() if ready else b""
    if not line:
        told = os.pread(errors, 100_000, 0).decode(errors="replace").strip()
        raise RuntimeError(f"local AWS did not start on port {port} within {START_SECONDS} seconds: {told}")
    return str(json.loads(line)["endpoint"])


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def serve(host: str, port: int, *, forever: bool) -> None:
    """Serves until the standard input ends, or for ever; in both cases until SIGTERM or SIGINT."""
    import uvicorn
    from moto.server import ThreadedMotoServer

    from tests.tools.front import make_front
    from tests.tools.front_cut import CuttableProtocol

    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: sys.exit(0))
    os.environ.update(CREDENTIALS)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # moto reads a Detail of 1,000 levels, which is allowed, with a parser that recurses.
    sys.setrecursionlimit(5_000)
    _mend_bus_names()
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    app = make_front("http://{}:{}".format(*moto.get_host_and_port()))
    with socket.create_server((host, port), backlog=512) as listening:
        config = uvicorn.Config(
            app,
            http=CuttableProtocol,
            log_level="error",
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        if not forever:
            threading.Thread(target=_end_with_stdin, args=[server], daemon=True).start()
        print(json.dumps({"endpoint": f"http://{host}:{listening.getsockname()[1]}"}), flush=True)
        server.run([listening])


def _mend_bus_names() -> None:
    """Has moto find buses with slashes in their names, as those of partners have: it looks for what is after the last.

    So it makes such a bus, and then finds neither its rules nor its targets.
    """
    from moto.events.models import EventsBackend

    def name_of(_backend: object, name_or_arn: str | None) -> str:
        return (name_or_arn or "default").rpartition(":event-bus/")[2]

    EventsBackend._normalize_event_bus_arn = name_of  # type: ignore[method-assign, assignment]


def _end_with_stdin(server: Any) -> None:
    # Not sys.stdin: a thread that waits inside its lock makes the interpreter abort at exit.
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    server.should_exit = True
    time.sleep(STOP_SECONDS / 2)
    os._exit(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Local AWS for the demo and the tests")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--forever", action="store_true", help="do not end with the standard input")
    arguments = parser.parse_args()
    serve(arguments.host, arguments.port, forever=arguments.forever)
