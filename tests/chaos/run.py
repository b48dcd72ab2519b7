"""A run of the chaos suite: an export of hours by a backfill, while one fault after the other strikes the cluster."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import yaml

from currents_core.errors import CurrentsError, shown
from tests.chaos.disks import disks
from tests.chaos.faults import FAKETIME, FAULTS, Fault, World
from tests.chaos.form import Form
from tests.chaos.judge import arrived, of_books, of_events, of_health, of_leftovers, of_repeats, of_scheduled
from tests.chaos.outcome import STALE_SECONDS, Observer, Outcome
from tests.chaos.stage import CLASSIC, CUSTOM, Stage
from tests.chaos.tries import Tries
from tests.tools.airflow_env import ROOT
from tests.tools.awaiting import wait_for
from tests.tools.cluster import cluster
from tests.tools.fault_plan import FaultPlan
from tests.tools.local_aws import local_aws
from tests.tools.scheduler import RunningDag

CONNECTORS = (CLASSIC, CUSTOM)
WORKERS = 2
# So many deliveries at a time take all that the machine has.
BUSY = 3
# After the last fault, until everything has arrived.
END_SECONDS = 25 * 60
# A custom bus knows for five minutes what it had; a next try needs a while until it sends.
KNOWN_SECONDS = 4 * 60
# The logs of the last run that failed.
LOGS = ROOT / ".local" / "chaos"


def run(form: Form, seed: int) -> tuple[list[Outcome], list[str]]:
    """Plays it, and returns what became of each fault, and everything that is wrong at the end."""
    outcomes: list[Outcome] = []
    complaints: list[str] = []
    try:
        with _world(form, seed) as (world, stage):
            is_through = False
            try:
                complaints += _play(world, stage, form, outcomes)
                is_through = True
            finally:
                if complaints or not is_through:
                    _keep_logs(world.cluster.home)
    except (Exception, KeyboardInterrupt) as error:
        # An hour's outcomes are worth more than what ended the run, or than what a part of the cluster did at its end.
        if not outcomes:
            raise
        complaints.append(repr(error))
    return outcomes, complaints


@contextmanager
def _world(form: Form, seed: int) -> Iterator[tuple[World, Stage]]:
    """Starts everything that faults strike."""
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
        yield World(aws, running, Tries(running, client), random.Random(seed), of_workers), stage


def _play(world: World, stage: Stage, form: Form, outcomes: list[Outcome]) -> list[str]:
    """Adds what becomes of each fault to the outcomes, and returns everything that is wrong at the end."""
    dags = [RunningDag(world.cluster.scheduler(world.tries.client), f"currents_export_{name}") for name in CONNECTORS]
    for dag in dags:
        dag.switch_on()
        dag.start_backfill(*stage.bounds)
    wait_for(END_SECONDS, lambda: len(world.tries.running()) >= BUSY)
    complaints = [f"{each}, though nothing has failed yet" for each in of_health(world.cluster)]
    outcomes.extend(_strike(world, stage, form))
    complaints += _settle(world, stage, dags)
    complaints += [f"{each} after all faults" for each in of_health(world.cluster)]
    _tell("looking at what arrived")
    unheard = world.aws.unheard()
    _tell(f"the senders of {len(unheard):,} events may have gone before they were answered")
    found = arrived(world.aws.each_accepted_line(), unheard)
    for outcome in outcomes:
        until = outcome.struck + timedelta(seconds=KNOWN_SECONDS)
        outcome.late = frozenset(each.connector for each in outcome.lost if not world.tries.was_taken_up(each, until))
    complaints += of_repeats(found, outcomes)
    for outcome in outcomes:
        if outcome.again:
            _tell(f"{outcome.name}: sent again were {'; '.join(outcome.again)}")
        for connector, count in sorted(outcome.unheard.items()):
            _tell(f"{outcome.name}: {connector}: {count:,} more, whose sender had no answer in time")
        complaints += outcome.complaints(form.rate)
    complaints += of_events(found, stage.ids)
    complaints += of_leftovers([disk.folder for disk in world.disks.values()], world.cluster.sessions.orphans())
    # Ten retries are enough, though a later run would deliver what one that failed has left.
    complaints += [f"a run failed: {run}" for run in world.tries.failed_runs()]
    return complaints


def _strike(world: World, stage: Stage, form: Form) -> Iterator[Outcome]:
    faults = [fault for fault in FAULTS if not form.faults or fault.name in form.faults]
    chosen = [(fault, connector) for fault in faults for connector in (CONNECTORS if fault.is_of_task else ("",))]
    world.rng.shuffle(chosen)
    for number, (fault, world.connector) in enumerate(chosen):
        if number == len(chosen) // 2:
            _put_late(stage, form)
        if reason := _lacks(fault):
            _tell(f"SKIPPED {fault.name}: {reason}")
            yield Outcome(fault, skipped=reason)
            continue
        # They take all that the machine has, and what is stopped meanwhile waits for them.
        wait_for(END_SECONDS, partial(_has_no_probe, world))
        # What is sent later than that after a checkpoint is held back, so what this fault has go again is its own.
        time.sleep(STALE_SECONDS)
        observer = Observer(world, fault)
        _tell(f"{observer.outcome.name} …")
        outcome = observer.watch()
        queued = f", {outcome.queued} s of them behind others in a worker" if outcome.queued else ""
        _tell(
            f"{outcome.name}: {len(outcome.hit)} tries hit, {len(outcome.lost)} lost, "
            f"noticed after {outcome.noticed} s, recovered after {outcome.recovered} s{queued}"
        )
        for each in outcome.hit:
            _tell(f"  {each.path}, try {each.number}")
        # The machine is as busy as it ever is.
        outcome.unhealthy = list(of_health(world.cluster))
        yield outcome


def _put_late(stage: Stage, form: Form) -> None:
    """Puts late files. They are for hours that are delivered, since a scheduled run leaves others to their own runs."""
    some = stage.hours[:: max(1, form.hours // 6)]
    delivered = wait_for(END_SECONDS, lambda: [hour for hour in some if _is_delivered(stage, hour)])
    stage.put(delivered, rows=max(10, form.rows // 10), first=1)
    stage.late_at = datetime.now(UTC)
    _tell("late files were put")


def _has_no_probe(world: World) -> bool:
    with suppress(httpx.HTTPError):
        return not world.tries.probes_under_way()
    return False


def _lacks(fault: Fault) -> str:
    if fault.name.startswith("clock") and not FAKETIME:
        return "faketime is not installed"
    return ""


def _is_delivered(stage: Stage, hour: str) -> bool:
    return not any(list(of_books(stage, name, [hour])) for name in CONNECTORS)


def _settle(world: World, stage: Stage, dags: Sequence[RunningDag]) -> list[str]:
    """Waits until nothing is under way and everything is in the books. Returns what never got there."""
    last_run = stage.now + timedelta(minutes=stage.form.minutes)
    deadline = max(datetime.now(UTC), last_run) + timedelta(seconds=END_SECONDS)
    told, missing = 0.0, ["Airflow does not answer"]
    while missing and datetime.now(UTC) < deadline:
        # What Airflow refuses is an AssertionError.
        with suppress(httpx.HTTPError, CurrentsError, AssertionError):
            # Reading the books takes thousands of requests, which the runs would feel.
            missing = ["runs are under way"] if world.tries.under_way() else list(_of_all_books(stage, dags))
        if missing and time.monotonic() - told > 60:
            told = time.monotonic()
            _tell(f"waiting: {shown(missing[0], 300)}; {len(missing)} in all")
        time.sleep(5)
    return missing


def _of_all_books(stage: Stage, dags: Sequence[RunningDag]) -> Iterator[str]:
    """What is wrong with the books, of the hours that scheduled runs were for, too."""
    for name, dag in zip(CONNECTORS, dags, strict=True):
        scheduled = dag.runs("scheduled")
        yield from of_scheduled(name, scheduled, stage.late_at)
        yield from of_books(stage, name, [*stage.hours, *(run["partition_key"] for run in scheduled)])


def _keep_logs(home: Path) -> None:
    shutil.rmtree(LOGS, ignore_errors=True)
    # What is written meanwhile may go while it is copied.
    with suppress(shutil.Error):
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
        lost = f"{len(outcome.lost)} of {len(outcome.hit)}"
        repeats = sum(outcome.repeats.values())
        lines.append(f"| {outcome.name} | {noticed} | {_shown(outcome.recovered)} | {lost} | {repeats} |")
    return "\n".join(lines)


def _shown(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.0f} s"
