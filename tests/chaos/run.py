"""A run of the chaos suite: an export of hours by a backfill, while one fault after the other strikes the cluster."""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import yaml

from currents_core.errors import shown
from tests.chaos.faults import DISK_BYTES, FAKETIME, FAULTS, Fault, World
from tests.chaos.form import Form
from tests.chaos.judge import arrived, of_books, of_events, of_leftovers, of_repeats
from tests.chaos.outcome import Observer, Outcome
from tests.chaos.stage import CLASSIC, CUSTOM, Stage
from tests.chaos.tries import Tries
from tests.tools.airflow_env import ROOT
from tests.tools.cluster import cluster
from tests.tools.fault_plan import FaultPlan
from tests.tools.local_aws import local_aws
from tests.tools.scheduler import RunningDag

CONNECTORS = (CLASSIC, CUSTOM)
WORKERS = 2
# After the last fault, until everything has arrived.
END_SECONDS = 25 * 60
# The logs of the last run that failed.
LOGS = ROOT / ".local" / "chaos"


def run(form: Form, seed: int) -> tuple[list[Outcome], list[str]]:
    """Plays it, and returns what became of each fault, and everything that is wrong at the end."""
    rng = random.Random(seed)
    with ExitStack() as stack:
        aws = stack.enter_context(local_aws())
        stage = Stage(aws, form, datetime.now(UTC))
        _tell(f"seed {seed}: {form.events:,} rows in {form.hours} hours and {form.types} event types")
        connectors = stage.set()
        # Accepted is enough: no rule has to match.
        aws.set_faults(FaultPlan(hold=True))
        disks = stack.enter_context(_disks())
        path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="currents-chaos-"))) / "connectors.yaml"
        path.write_text(yaml.safe_dump({"connectors": connectors}))
        running = stack.enter_context(
            cluster(
                {**aws.environment(), "CURRENTS_CONNECTORS": str(path), "AIRFLOW_PARALLELISM": str(16 * WORKERS)},
                workers=WORKERS,
                dag=f"currents_export_{CUSTOM}",
                of_part={name: {"TMPDIR": str(disk)} for name, disk in disks.items()},
            )
        )
        client = stack.enter_context(running.client())
        world = World(aws, running, Tries(running, client), rng, disks)
        complaints = ["it was not played to its end"]
        try:
            outcomes, complaints = _play(world, stage, form)
        finally:
            if complaints:
                _keep_logs(running.home)
        return outcomes, complaints


def _play(world: World, stage: Stage, form: Form) -> tuple[list[Outcome], list[str]]:
    dags = [RunningDag(world.cluster.scheduler(world.tries.client), f"currents_export_{name}") for name in CONNECTORS]
    for dag in dags:
        dag.switch_on()
        dag.start_backfill(*stage.bounds)
    outcomes = list(_strike(world, stage, form))
    _settle(world, stage)
    _tell("looking at what arrived")
    found = arrived(world.aws.each_accepted_line())
    complaints = of_repeats(found, outcomes)
    for outcome in outcomes:
        complaints += outcome.complaints(form.rate)
    complaints += of_events(found, stage.ids)
    for name in CONNECTORS:
        complaints += of_books(stage, name)
    complaints += of_leftovers(world.disks.values(), world.cluster.sessions.orphans())
    if failed := world.tries.failed_runs():
        _tell(f"runs that failed and were made good by later ones: {', '.join(failed)}")
    return outcomes, complaints


def _strike(world: World, stage: Stage, form: Form) -> Iterator[Outcome]:
    chosen = [fault for fault in FAULTS if not form.faults or fault.name in form.faults]
    world.rng.shuffle(chosen)
    for number, fault in enumerate(chosen):
        if reason := _lacks(world, fault):
            _tell(f"SKIPPED {fault.name}: {reason}")
            continue
        world.connector = CONNECTORS[number % len(CONNECTORS)]
        _tell(f"{fault.name} …")
        outcome = Observer(world, fault).watch()
        _tell(
            f"{fault.name}: {len(outcome.hit)} tries hit, {outcome.lost} lost, noticed after {outcome.noticed} s, "
            f"recovered after {outcome.recovered} s"
        )
        for each in outcome.hit:
            _tell(f"  {each.path}, try {each.number}")
        yield outcome
        if number == len(chosen) // 2:
            # Of hours that were delivered by now, and of others that were not.
            stage.put(stage.hours[:: max(1, form.hours // 6)], rows=max(10, form.rows // 10), first=1)
            _tell("late files were put")


def _lacks(world: World, fault: Fault) -> str:
    if fault.name == "disk full" and not world.disks:
        return "a tmpfs can't be mounted here"
    if fault.name.startswith("clock") and not FAKETIME:
        return "faketime is not installed"
    return ""


def _settle(world: World, stage: Stage) -> None:
    """Waits until nothing is under way and everything is in the books; the end says what never got there."""
    deadline, told = time.monotonic() + END_SECONDS, 0.0
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            # Reading the books takes thousands of requests, which the runs would feel.
            if world.tries.under_way():
                missing = ["runs are under way"]
            else:
                missing = [complaint for name in CONNECTORS for complaint in of_books(stage, name)]
            if not missing:
                return
            if time.monotonic() - told > 60:
                told = time.monotonic()
                _tell(f"waiting: {shown(missing[0], 300)}; {len(missing)} in all")
        time.sleep(5)


@contextmanager
def _disks() -> Iterator[Mapping[str, Path]]:
    """A small disk for each worker; none where mounting is not allowed."""
    with ExitStack() as stack:
        disks = {}
        for number in range(1, WORKERS + 1):
            disk = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="currents-disk-")))
            mounted = _run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", disk)
            if mounted:
                stack.callback(_run, "umount", "--lazy", disk)
                disks[f"airflow-worker-{number}"] = disk
        yield disks


def _keep_logs(home: Path) -> None:
    shutil.rmtree(LOGS, ignore_errors=True)
    shutil.copytree(home, LOGS, ignore=shutil.ignore_patterns("postgres", "redis"))
    _tell(f"the logs of Airflow are in {LOGS}")


def _run(*command: str | Path) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _tell(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", flush=True)


def table(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as a table of Markdown."""
    lines = ["| event | noticed after | recovered after | tries lost | repeats |", "|---|---|---|---|---|"]
    for outcome in outcomes:
        noticed = "" if outcome.fault.noticed is None else _shown(outcome.noticed)
        lost = f"{outcome.lost} of {len(outcome.hit)}"
        lines.append(f"| {outcome.fault.name} | {noticed} | {_shown(outcome.recovered)} | {lost} | {outcome.repeats} |")
    return "\n".join(lines)


def _shown(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.0f} s"
