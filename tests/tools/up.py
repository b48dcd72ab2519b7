"""The Airflow UI with the demo connector, on this machine alone. Ctrl-C stops everything that it started."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

import httpx

from currents_core.errors import CurrentsError
from tests.tools.airflow_env import ROOT, airflow_env
from tests.tools.local_aws import LocalAws, local_aws
from tests.tools.processes import kill
from tests.tools.sessions import members
from tests.tools.stage import CONNECTOR, demo_hours, put_files, sample_files, set_stage

HOME = ROOT / ".local" / "up"
START_SECONDS = 600
STOP_SECONDS = 20
STOPPING = f"""
Stopping Airflow: waiting up to {STOP_SECONDS} s for its tasks and its servers to end.
Press Ctrl-C again to kill them."""


class UpError(Exception):
    """The UI can't be started; the message says why and what to do."""


def main(port: int, home: Path = HOME) -> int:
    """Serves until Ctrl-C or SIGTERM."""
    home.mkdir(parents=True, exist_ok=True)
    return serve_until_stopped(port, partial(_serve_standalone, port, home))


def serve_until_stopped(port: int, serve: Callable[[LocalAws, list[str]], NoReturn]) -> int:
    """Serves beside local AWS, with files for some hours, until Ctrl-C or SIGTERM."""
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, _interrupt)
    try:
        _check_free(port)
        with local_aws() as aws:
            connector = set_stage(aws)
            # Of days ago: what the schedule looks back on is delivered before anybody can trigger it.
            hours = demo_hours(datetime.now(UTC) - timedelta(days=4))
            put_files(aws, connector, sample_files(hours, prefix=connector.source.prefix))
            serve(aws, hours)
    except (CurrentsError, UpError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
        return 0


def _serve_standalone(port: int, home: Path, aws: LocalAws, hours: list[str]) -> NoReturn:
    environment = {**os.environ, **airflow_env(home), **aws.environment(), **addresses(port)}
    log = home / "airflow.log"
    print(f"Starting Airflow, which takes half a minute or more. Its log is\n{log}", flush=True)
    with standalone(environment, log) as airflow:
        _serve(port, airflow, log, hours)


def _serve(port: int, airflow: subprocess.Popen[bytes], log: Path, hours: list[str]) -> NoReturn:
    """Serves until it raises: KeyboardInterrupt on Ctrl-C, UpError if Airflow ends by itself."""
    try:
        wait_until_ready(port, airflow, log, f"currents_export_{CONNECTOR}")
        print(welcome(port, hours, "no login"), flush=True)
        airflow.wait()
    except KeyboardInterrupt:
        print(STOPPING, flush=True)
        raise
    raise UpError(f"Airflow ended by itself; see {log}")


def addresses(port: int) -> dict[str, str]:
    """The environment of an Airflow that is to listen on a port."""
    return {
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
    }


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def welcome(port: int, hours: list[str], login: str) -> str:
    """What to open, and what to do there."""
    return f"""
Airflow is at http://127.0.0.1:{port}/dags/currents_export_{CONNECTOR} ({login})

There are sample files for the hours {", ".join(hours)} (UTC).
Press Trigger there, put one of them into the field "Hour", and trigger. Ctrl-C stops everything."""


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UpError(f"port {port}: {error.strerror}; stop what uses it, or say make up PORT=8081") from error


def part_of_airflow(part: str) -> list[str]:
    """The command that runs a part of Airflow, or `standalone`: all of them. None starts a log server."""
    if part == "standalone":
        return [sys.executable, "-m", "tests.tools.airflow_parts"]
    return ["airflow", part, *(["--skip-serve-logs"] if part in ("scheduler", "triggerer") else [])]


@contextmanager
def standalone(environment: dict[str, str], log: Path, part: str = "standalone") -> Iterator[subprocess.Popen[bytes]]:
    """All parts of Airflow, or one of them, in a session of their own, stopped at the end."""
    with log.open("wb") as sink:
        process = subprocess.Popen(
            part_of_airflow(part),
            env=environment,
            stdout=sink,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Lets all parts stop, as Ctrl-C does; what is left after that, or after another Ctrl-C, is killed."""
    with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
        process.send_signal(signal.SIGINT)
        process.wait(timeout=STOP_SECONDS)
    kill(members(process.pid))
    process.wait()


def wait_until_ready(port: int, airflow: subprocess.Popen[bytes], log: Path, dag: str) -> None:
    """Returns when the DAG is there. Raises UpError where Airflow does not come up."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if airflow.poll() is not None:
            raise UpError(f"Airflow ended while starting; see {log}")
        if _dag_is_there(port, dag):
            return
        time.sleep(0.5)
    raise UpError(f"Airflow did not start within {START_SECONDS} seconds; see {log}")


def _dag_is_there(port: int, dag: str) -> bool:
    try:
        with api(port) as client:
            return client.get(f"/dags/{dag}").status_code == 200
    except (httpx.HTTPError, KeyError):
        return False


@contextmanager
def api(port: int, login: Mapping[str, str] | None = None) -> Iterator[httpx.Client]:
    """Airflow's public API, logged in as ``login`` says, or as whoever is at this machine where no login is asked."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=180) as client:
        answer = client.post("/auth/token", json=login) if login else client.get("/auth/token")
        token = answer.raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        client.base_url = client.base_url.join("/api/v2/")
        yield client


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The Airflow UI with the demo connector")
    parser.add_argument("--port", type=int, default=8080)
    sys.exit(main(parser.parse_args().port))
