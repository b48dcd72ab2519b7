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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from currents_core.setup.settings import Connector
from tests.tools.airflow_env import ROOT, airflow_env
from tests.tools.demo_log import Told, told_in
from tests.tools.local_aws import LocalAws
from tests.tools.stage import CONNECTOR

HOME = ROOT / ".local" / "demo"
LOG = HOME / "airflow.log"
# How long a run may take to its end, or to where it is caught.
RUN_SECONDS = 300
console = Console(highlight=False)

CONNECT = ("dags", "test", f"currents_connect_{CONNECTOR}")

Manifest = dict[str, Any]


class DemoError(Exception):
    """The demo can't go on; the message says why and what to do."""


@dataclass(frozen=True)
class Run:
    """A run of Airflow's command line that goes on meanwhile."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_until(self, ready: Callable[[], Any], failure: str) -> None:
        """Waits until ``ready`` gives something. Raises DemoError where it never does, or the run ends before."""
        deadline = time.monotonic() + RUN_SECONDS
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise DemoError(f"{failure}; its log is {self.log}")
            time.sleep(0.05)

    def end(self) -> int:
        """Waits for its end, and returns its exit code. Raises DemoError where that takes too long."""
        try:
            return self.process.wait(RUN_SECONDS)
        except subprocess.TimeoutExpired:
            raise DemoError(f"a run did not end within {RUN_SECONDS} seconds; its log is {self.log}") from None

    def finish(self) -> None:
        """Waits for its end. Raises DemoError where it fails."""
        if self.end():
            raise DemoError(f"a run failed; its log is {self.log}")


class Demo(Protocol):
    """The demo of one kind of destination."""

    def play(self, aws: LocalAws) -> list[Manifest]:
        """Sets the stage, exports some hours, and returns their manifests."""

    def show(self) -> None:
        """Prints what consumers have, and what is particular to the kind."""

    def faults(self) -> list[str]:
        """What is wrong with what consumers have, a line each."""

    def may_repeat(self) -> int:
        """How many events may have reached the bus twice."""


def tell(told: Told) -> None:
    """Prints what a task logged."""
    for line in told.lines():
        console.print(line, soft_wrap=True)


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
    with running(*_export(hour), environment=environment) as run:
        run.wait_until(ready, f"the export of {hour} could not be killed in the middle")


def refused_export(
    hour: str, environment: dict[str, str], *, meanwhile: Callable[[Run], None] = lambda _run: None
) -> Told:
    """Runs the export DAG for one hour, which must fail, and returns the error that a task of it told first.

    Raises DemoError where it does not fail.
    """
    before = LOG.stat().st_size if LOG.exists() else 0
    with running(*_export(hour), environment=environment) as run:
        meanwhile(run)
        has_failed = run.end() != 0
    errors = [each for each in told_in(LOG, after=before) if each.level == "error"]
    if not (has_failed and errors):
        raise DemoError(f"the export of {hour} should have failed, and told why; its log is {LOG}")
    return errors[0]


@contextmanager
def running(*arguments: str, environment: dict[str, str], log: Path | None = None) -> Iterator[Run]:
    """Runs Airflow's command line meanwhile. At the end it is killed, with all that it started."""
    process = _start(*arguments, environment=environment, log=log, is_apart=True)
    try:
        yield Run(process, log or LOG)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def read_manifest(aws: LocalAws, connector: Connector, hour: str) -> Manifest:
    """The hour manifest, as the export wrote it."""
    key = f"{connector.state_root}manifests/date={hour}.json"
    body = aws.client("s3").get_object(Bucket=connector.state.bucket, Key=key)["Body"].read()
    return dict(json.loads(body))


def _export(hour: str) -> tuple[str, ...]:
    return ("dags", "test", f"currents_export_{CONNECTOR}", "--conf", json.dumps({"hour": hour}))


def _start(
    *arguments: str, environment: dict[str, str], log: Path | None = None, is_apart: bool = False
) -> subprocess.Popen[bytes]:
    """Starts Airflow's command line; its log goes to LOG. Apart, it can be killed with all that it starts."""
    with (log or LOG).open("ab") as opened:
        return subprocess.Popen(
            ["airflow", *arguments],
            env={"LANG": "C.UTF-8", **airflow_env(HOME), **environment},
            stdout=opened,
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
