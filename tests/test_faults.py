"""Whole deliveries on real sockets, while things go wrong: what is promised of repeats and losses is counted."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from currents_aws.s3 import S3Objects
from currents_core.books.account import DEDUPLICATED, Counts
from currents_core.books.head import Head
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.books.manifest import hour_account
from tests.tools.delivering import ENDED_EARLY, start
from tests.tools.fault_plan import FaultPlan
from tests.tools.local_aws import LocalAws
from tests.tools.sample import make_files

HOUR = "2026-11-23-08"
OPEN = "users.messages.email.Open"
HOLD = FaultPlan(hold=True)
# What takes longer hangs, on a slow machine, too; in seconds.
PATIENCE = 600


@dataclass
class Stage:
    """Files in S3, a state and a bus, all of local AWS."""

    aws: LocalAws
    source: str
    state: str
    bus: str

    def put(self, *, files: int, rows: int) -> set[str]:
        """Puts files and returns the ids in them."""
        found: set[str] = set()
        for file in make_files([HOUR], [OPEN], files=files, rows=rows, prefix="in/"):
            self.aws.client("s3").put_object(Bucket=self.source, Key=file.key, Body=file.body)
            found |= set(file.table["id"].to_pylist())
        return found

    def start(self, **options: Any) -> subprocess.Popen[str]:
        return start(self.source, self.state, self.bus, **{"rate": 4_000.0, **options})

    def run(self, **options: Any) -> tuple[int, str]:
        """The exit code of a delivery, and what it said."""
        with self.start(**options) as process:
            _, said = process.communicate(timeout=PATIENCE)
        return process.returncode, said

    def ids(self) -> Counter[str]:
        """How often each id was accepted."""
        return Counter(json.loads(entry["Detail"])["id"] for entry in self.aws.accepted())

    def totals(self) -> Counts:
        return hour_account(self.heads()).account.totals

    def saved_rows(self) -> int:
        """The rows that the books have as accepted, of all files."""
        return sum(len(state.rows) for head in self.heads() for state in head.files.values())

    def records(self) -> dict[str, bytes | None]:
        """All objects of the state."""
        return {each.key: self.store.read(each.key) for each in self.store.objects("")}

    def heads(self) -> list[Head]:
        return Ledger(self.store, Layout()).heads(HOUR)

    @property
    def store(self) -> S3Objects:
        return S3Objects(self.aws.client("s3"), self.state)

    def accepted(self) -> int:
        """How many entries were accepted, once what is still under way at the front has ended."""
        before, now = -1, self.aws.counts()["accepted"]
        while now != before:
            time.sleep(0.2)
            before, now = now, self.aws.counts()["accepted"]
        return int(now)

    def wait_for_accepted(self, count: int) -> None:
        self.wait_for(lambda: self.aws.counts()["accepted"] >= count)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "not within a minute"
            time.sleep(0.02)


@pytest.fixture
def stage(aws: LocalAws, bucket: str, bus: str) -> Stage:
    state = f"{bucket}-state"
    aws.client("s3").create_bucket(Bucket=state)
    aws.set_faults(HOLD)
    return Stage(aws, bucket, state, bus)


@pytest.mark.slow
def test_a_hundred_thousand_rows_survive_a_mix_of_faults(stage: Stage) -> None:
    """Throttling, 5xx, failed entries and cut connections: nothing is lost, and repeats have a cut to blame."""
    ids = stage.put(files=20, rows=5_000)
    stage.aws.set_faults(
        FaultPlan(
            seed=7,
            throttle=0.05,
            server_error=0.02,
            entry_throttle=0.015,
            entry_failure=0.015,
            cut_before=0.005,
            cut_after=0.005,
            hold=True,
        )
    )
    code, said = stage.run()
    assert code == 0, said
    accepted = stage.ids()
    assert set(accepted) == ids
    cut = {json.loads(line["entry"]["Detail"])["id"] for line in stage.aws.accepted_lines() if line.get("cut")}
    assert cut, "the plan cut connections after acceptance"
    assert {event_id for event_id, times in accepted.items() if times > 1} <= cut
    assert stage.totals() == Counts(read=100_000, sent=100_000)


def test_after_sigterm_a_rerun_sends_nothing_twice(stage: Stage) -> None:
    ids = stage.put(files=4, rows=5_000)
    with stage.start(rate=400) as process:
        stage.wait_for_accepted(3_000)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == ENDED_EARLY
    assert "StoppedError: faults: told to stop; clear the task to resume" in said
    # Airflow kills five seconds after it asked.
    assert time.monotonic() - began < 5
    assert 3_000 <= stage.aws.counts()["accepted"] < 20_000
    code, said = stage.run()
    assert code == 0, said
    assert stage.ids() == Counter(ids)
    assert stage.totals() == Counts(read=20_000, sent=20_000)


def test_after_sigkill_nothing_is_lost_and_only_what_was_not_saved_is_repeated(stage: Stage) -> None:
    ids = stage.put(files=6, rows=5_000)
    rng, rate, repeats_allowed = random.Random(11), 200.0, 0
    for kill in range(10):
        before = stage.aws.counts()["accepted"]
        with stage.start(rate=rate, lease=1, owner=f"try {kill}") as process:
            stage.wait_for_accepted(before + 1)
            time.sleep(rng.uniform(0.05, 1.5))
            process.kill()
        new = stage.accepted() - repeats_allowed - stage.saved_rows()
        # A checkpoint comes twice a second, and takes a moment until it is written.
        assert 0 <= new <= rate * 10 * 1.5
        repeats_allowed += new
    code, said = stage.run(lease=1)
    assert code == 0, said
    accepted = stage.ids()
    assert set(accepted) == ids
    assert accepted.total() - len(ids) <= repeats_allowed
    assert stage.totals() == Counts(read=30_000, sent=30_000)


@pytest.mark.slow
def test_after_kills_nobody_behind_a_custom_bus_sees_an_event_twice(stage: Stage) -> None:
    stage.bus = stage.aws.client("eventbridgev2").create_event_bus(Name=stage.bus)["EventBusArn"]
    # The bus is being created for a moment.
    stage.aws.forward(5)
    ids = stage.put(files=6, rows=2_000)
    rng = random.Random(12)
    for kill in range(8):
        before = stage.aws.counts()["accepted"]
        with stage.start(rate=20.0, lease=1, owner=f"try {kill}") as process:
            stage.wait_for_accepted(before + 1)
            time.sleep(rng.uniform(0.05, 1.2))
            process.kill()
    code, said = stage.run(lease=1)
    assert code == 0, said
    accepted = stage.ids()
    assert (set(accepted), accepted.total()) == (ids, len(ids))
    assert stage.totals() == Counts(read=12_000, sent=12_000)
    repeated = stage.aws.counts()["deduplicated"]
    assert repeated > 0, "a kill left something that no checkpoint had"
    # What a killed task was told and could not save is in no book.
    assert 0 < hour_account(stage.heads()).account.notes[DEDUPLICATED] <= repeated


def test_a_zombie_that_wakes_up_is_fenced(stage: Stage) -> None:
    ids = stage.put(files=1, rows=20_000)
    with stage.start(rate=300, lease=1, owner="the zombie") as zombie:
        stage.wait_for_accepted(2_000)
        zombie.send_signal(signal.SIGSTOP)
        try:
            code, said = stage.run(lease=1, owner="the successor")
            assert code == 0, said
            records = stage.records()
        finally:
            zombie.send_signal(signal.SIGCONT)
        _, said = zombie.communicate(timeout=PATIENCE)
    assert zombie.returncode == ENDED_EARLY
    assert "FencedError" in said
    after = stage.records()
    assert {key: after[key] for key in records} == records
    [head] = stage.heads()
    # What the zombie wrote in vain counts for nobody.
    assert all(f"-{head.token}-" in key for key in after if key.rpartition("/")[2] in head.pages)
    assert set(stage.ids()) == set(ids)
    assert stage.totals() == Counts(read=20_000, sent=20_000)


def test_a_source_whose_bus_is_deleted_in_the_middle_of_a_run_loses_nothing(stage: Stage) -> None:
    """EventBridge goes on to accept what it now drops: it is noticed, and goes again once the source is ACTIVE."""
    ids, events = stage.put(files=4, rows=10_000), stage.aws.client("events")
    stage.aws.register_partner()
    stage.bus = f"aws.partner/{stage.bus}/faults/123456789012"
    events.create_partner_event_source(Name=stage.bus, Account="123456789012")
    code, said = stage.run()
    assert code == ENDED_EARLY
    assert "it is PENDING until" in said
    assert stage.aws.counts()["requests"] == 0, "nothing is sent to a source that is not ACTIVE"

    events.create_event_bus(Name=stage.bus, EventSourceName=stage.bus)
    with stage.start(rate=500) as process:
        stage.wait_for_accepted(4_000)
        events.delete_event_bus(Name=stage.bus)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == ENDED_EARLY
    assert "it is PENDING until" in said
    assert stage.saved_rows() <= len(stage.ids()), "only what arrived is in the books"

    events.create_event_bus(Name=stage.bus, EventSourceName=stage.bus)
    code, said = stage.run()
    assert code == 0, said
    assert set(stage.ids()) == set(ids)
    assert stage.totals() == Counts(read=40_000, sent=40_000)
    # Repeated is what arrived after the last look that found the source ACTIVE.
    assert stage.ids().total() - len(ids) < 5 * 20 * 500


def test_letters_that_can_not_be_written_fail_the_task_and_a_rerun_resumes(stage: Stage) -> None:
    ids = stage.put(files=2, rows=1_000)
    plan = FaultPlan(seed=3, entry_refusal=0.02, hold=True)
    stage.aws.set_faults(FaultPlan(seed=3, entry_refusal=0.02, hold=True, s3_unavailable=1.0, s3_match=".letters"))
    code, said = stage.run()
    assert code == ENDED_EARLY
    assert "TransientError: " in said
    assert ".letters: write failed" in said
    assert "SlowDown" in said
    assert "clear the task to resume" in said
    assert stage.totals() == Counts()
    sent = stage.ids()
    stage.aws.set_faults(plan)
    code, said = stage.run()
    assert code == 0, said
    assert stage.ids() == sent
    assert stage.ids().total() == len(stage.ids())
    totals = stage.totals()
    assert (totals.read, totals.sent + totals.dead_lettered) == (2_000, 2_000)
    assert totals.dead_lettered == len(ids) - len(sent) > 0


def test_checkpoints_that_fail_for_a_while_cost_nothing(stage: Stage) -> None:
    ids = stage.put(files=1, rows=10_000)
    with stage.start(rate=300) as process:
        stage.wait_for_accepted(1_000)
        no_swaps = FaultPlan(hold=True, s3_unavailable=1.0, s3_match="/head.json", s3_methods=("PUT",), s3_limit=8)
        stage.aws.set_faults(no_swaps)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert "the checkpoint is late" in said
    assert stage.ids() == Counter(ids)


def test_tasks_that_run_side_by_side_stay_in_the_budget_together(stage: Stage) -> None:
    budget, tasks = 400.0, 4
    stage.put(files=tasks, rows=12_000)
    keys = [each.key for each in S3Objects(stage.aws.client("s3"), stage.source).objects("in/")]
    sources = []
    for number, key in enumerate(keys):
        source = f"{stage.source}-{number}"
        for bucket in (source, f"{source}-state"):
            stage.aws.client("s3").create_bucket(Bucket=bucket)
        stage.aws.client("s3").copy_object(Bucket=source, Key=key, CopySource={"Bucket": stage.source, "Key": key})
        sources.append(source)
    running = [start(source, f"{source}-state", stage.bus, rate=budget / tasks, owner=source) for source in sources]
    for process in running:
        with process:
            _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
    came = [each.seconds for each in stage.aws.arrivals()]
    # The promise is for each second, which the simulation holds by its own clock. Here a process may wait a good while
    # for a processor, and what it sent in that time then arrives at once: in five seconds that weighs little.
    most = max(bisect_left(came, at + 5) - first for first, at in enumerate(came))
    assert most <= 5 * budget * 1.15
    # More than two tasks may send: they were at it side by side, and what was kept was no budget of one.
    assert most > 5 * budget / 2
