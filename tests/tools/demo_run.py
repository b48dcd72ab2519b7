"""How the demos run Airflow and tell what goes on, and what a demo of one kind of destination is."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from currents_core.setup.settings import Connector
from tests.tools.airflow_env import ROOT, airflow_env
from tests.tools.local_aws import LocalAws
from tests.tools.stage import CONNECTOR

HOME = ROOT / ".local" / "demo"
LOG = HOME / "airflow.log"
# How long an export may take to get so far that it is killed.
KILL_SECONDS = 120
console = Console(highlight=False)

Manifest = dict[str, Any]


class DemoError(Exception):
    """The demo can't go on; the message says why and what to do."""


class Demo(Protocol):
    """The demo of one kind of destination."""

    def play(self, aws: LocalAws) -> list[Manifest]:
        """Sets the stage, exports some hours, and returns their manifests."""

    def show(self) -> None:
        """Prints what consumers have, and what is particular to the kind."""

    def faults(self) -> list[str]:
        """What is wrong with what consumers have, a line each."""


@contextmanager
def step(doing: str) -> Iterator[None]:
    """Shows what is going on, and how long it took: a terminal has a spinner and a clock, a log gets two lines."""
    began = time.monotonic()
    shown = (SpinnerColumn("line"), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*shown, console=console, transient=True, disable=not console.is_interactive) as progress:
        if console.is_interactive:
            progress.add_task(doing, total=None)
        else:
            console.print(f"{doing} ...")
        yield
    console.print(f"{doing}: done {took(began)}")


def took(since: float) -> str:
    """The seconds since a time of the monotonic clock, in brackets."""
    return f"({time.monotonic() - since:.1f} s)"


def set_up_airflow(environment: dict[str, str]) -> None:
    """Makes Airflow's database."""
    with step("Setting up Airflow's database"):
        _run("db", "migrate", environment=environment)


def export_hour(hour: str, environment: dict[str, str]) -> None:
    """Runs the export DAG for one hour. Raises DemoError where it fails."""
    _run(*_export(hour), environment=environment)


def kill_export(hour: str, environment: dict[str, str], *, ready: Callable[[], bool]) -> None:
    """Runs the export DAG for one hour, and kills its processes as soon as ``ready`` is true.

    Raises DemoError where it never is, or the run ends before.
    """
    run = _start(*_export(hour), environment=environment, is_apart=True)
    deadline = time.monotonic() + KILL_SECONDS
    try:
        while not ready():
            if run.poll() is not None or time.monotonic() > deadline:
                raise DemoError(f"the export of {hour} could not be killed in the middle; its log is {LOG}")
            time.sleep(0.01)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()


def read_manifest(aws: LocalAws, connector: Connector, hour: str) -> Manifest:
    """The hour manifest, as the export wrote it."""
    key = f"{connector.state.prefix}{connector.name}/manifests/date={hour}.json"
    body = aws.client("s3").get_object(Bucket=connector.state.bucket, Key=key)["Body"].read()
    return dict(json.loads(body))


def _export(hour: str) -> tuple[str, ...]:
    return ("dags", "test", f"currents_export_{CONNECTOR}", "--conf", json.dumps({"hour": hour}))


def _start(*arguments: str, environment: dict[str, str], is_apart: bool = False) -> subprocess.Popen[bytes]:
    """Starts Airflow's command line; its log goes to LOG. Apart, it can be killed with all that it starts."""
    with LOG.open("ab") as log:
        return subprocess.Popen(
            ["airflow", *arguments],
            env={"LANG": "C.UTF-8", **airflow_env(HOME), **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=is_apart,
        )


def _run(*arguments: str, environment: dict[str, str]) -> None:
    """Runs Airflow's command line to its end. Raises DemoError where it fails."""
    with _start(*arguments, environment=environment) as run:
        try:
            failed = run.wait()
        except BaseException:
            run.kill()
            raise
    if failed:
        errors = [line for line in LOG.read_text("utf-8", "replace").splitlines() if "rror" in line]
        raise DemoError("\n".join([f"`airflow {shlex.join(arguments)}` failed; its log is {LOG}", *errors[-3:]]))
