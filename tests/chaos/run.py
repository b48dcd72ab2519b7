"""A run of the chaos suite: an export of hours by a backfill, while one fault after the other strikes the cluster."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import yaml

from currents_core.errors import shown
from tests.chaos.disks import disks
from tests.chaos.faults import FAKETIME, FAULTS, Fault, World
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
        made = stack.enter_context(disks(WORKERS))
        of_workers = {f"airflow-worker-{number}": disk for number, disk in enumerate(made, 1)}
        path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="currents-chaos-"))) / "connectors.yaml"
        path.write_text(yaml.safe_dump({"connectors": connectors}))
        running = stack.enter_context(
            cluster(
                {**aws.environment(), "CURRENTS_CONNECTORS": str(path), "AIRFLOW_PARALLELISM": str(16 * WORKERS)},
                workers=WORKERS,
                dag=f"currents_export_{CUSTOM}",
                of_part={name: disk.environment for name, disk in of_workers.items()},
            )
        )
        client = stack.enter_context(running.client())
        world = World(aws, running, Tries(running, client), rng, of_workers)
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
        if outcome.again:
            _tell(f"{outcome.name}: sent again were {'; '.join(outcome.again)}")
        complaints += outcome.complaints(form.rate)
    complaints += of_events(found, stage.ids)
    for name in CONNECTORS:
        complaints += of_books(stage, name)
    complaints += of_leftovers([disk.folder for disk in world.disks.values()], world.cluster.sessions.orphans())
    if failed := world.tries.failed_runs():
        _tell(f"runs that failed and were made good by later ones: {', '.join(failed)}")
    return outcomes, complaints


def _strike(world: World, stage: Stage, form: Form) -> Iterator[Outcome]:
    faults = [fault for fault in FAULTS if not form.faults or fault.name in form.faults]
    chosen = [(fault, connector) for fault in faults for connector in (CONNECTORS if fault.is_of_task else ("",))]
    world.rng.shuffle(chosen)
    for number, (fault, world.connector) in enumerate(chosen):
        if number == len(chosen) // 2:
            # Of hours that were delivered by now, and of others that were not.
            stage.put(stage.hours[:: max(1, form.hours // 6)], rows=max(10, form.rows // 10), first=1)
            _tell("late files were put")
        if reason := _lacks(fault):
            _tell(f"SKIPPED {fault.name}: {reason}")
            yield Outcome(fault, skipped=reason)
            continue
        observer = Observer(world, fault)
        _tell(f"{observer.outcome.name} …")
        outcome = observer.watch()
        _tell(
            f"{outcome.name}: {len(outcome.hit)} tries hit, {outcome.lost} lost, noticed after {outcome.noticed} s, "
            f"recovered after {outcome.recovered} s"
        )
        for each in outcome.hit:
            _tell(f"  {each.path}, try {each.number}")
        yield outcome


def _lacks(fault: Fault) -> str:
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


def _keep_logs(home: Path) -> None:
    shutil.rmtree(LOGS, ignore_errors=True)
    shutil.copytree(home, LOGS, ignore=shutil.ignore_patterns("postgres", "redis"))
    _tell(f"the logs of Airflow are in {LOGS}")


def _tell(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", flush=True)


def table(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as a table of Markdown."""
    lines = ["| event | noticed after | recovered after | tries lost | repeats |", "|---|---|---|---|---|"]
    for outcome in outcomes:
        if outcome.skipped:
            lines.append(f"| {outcome.name} | SKIPPED: {outcome.skipped} | | | |")
            continue
        noticed = "" if outcome.fault.noticed is None else _shown(outcome.noticed)
        lost = f"{outcome.lost} of {len(outcome.hit)}"
        lines.append(f"| {outcome.name} | {noticed} | {_shown(outcome.recovered)} | {lost} | {outcome.repeats} |")
    return "\n".join(lines)


def _shown(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.0f} s"
