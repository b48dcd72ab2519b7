"""The budget of a connector on real sockets: what tasks send together, by the clock that paces them."""

from __future__ import annotations

import gc
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from currents_airflow.operators.deliver import CurrentsToEventBridgeOperator
from currents_airflow.operators.plan import Plan
from currents_airflow.parts import RunParts
from currents_aws.event_bus import EventBus
from currents_core.file_key import SourceFile, by_slice
from currents_core.finding.shard import Shard
from currents_core.setup.run_request import run_request
from tests.tools.fault_plan import FaultPlan
from tests.tools.house import HOUR, OPEN, PURCHASE, connector
from tests.tools.local_aws import LocalAws
from tests.tools.sample import make_files

# Requests per second, and the slots of both pools, which divide them.
BUDGET, SLOTS = 100, 4


@pytest.fixture(autouse=True)
def thaw() -> Iterator[None]:
    """The operator freezes what its process has loaded; this process has other tests to run."""
    yield
    gc.unfreeze()


class Stage:
    """A connector on local AWS, and tasks that deliver one event type each."""

    def __init__(self, aws: LocalAws, bucket: str, bus: str) -> None:
        self.aws, self.bucket, self.state = aws, bucket, f"{bucket}-state"
        aws.client("s3").create_bucket(Bucket=self.state)
        self.connector = connector(
            source={"bucket": bucket, "prefix": "in"},
            destination={"kind": "event_bus", "name": bus, "region": "us-east-1"},
            state={"bucket": self.state},
            budget={"requests_per_second": BUDGET, "slots": SLOTS - 1, "backfill_slots": 1},
        )

    def deliver(self, event_type: str, rows: int, run: str = "run", **params: Any) -> dict[str, Any]:
        """Runs one task, as Airflow would; returns what it tells."""
        parts = RunParts(self.connector, run_request(params, HOUR, self.connector), run)
        [made] = make_files([HOUR], [event_type], files=1, rows=rows, prefix="in/")
        etag = self.aws.client("s3").put_object(Bucket=self.bucket, Key=made.key, Body=made.body)["ETag"].strip('"')
        file = SourceFile(self.bucket, made.key, etag, len(made.body))
        shard = Shard({place: tuple(files) for place, files in by_slice([file]).items()})
        plan = Plan(key=parts.plans.write(HOUR, shard.as_json()), label="files", look="")
        task = SimpleNamespace(dag_id="d", run_id=run, task_id="deliver", map_index=0, try_number=1)
        step = CurrentsToEventBridgeOperator(task_id="deliver", connector="test", shard=plan)
        context: Any = {"dag_run": SimpleNamespace(run_type="scheduled", clear_number=0), "ti": task}
        return step.run_step(context, parts) or {}

    def roll(self) -> list[str]:
        """The tasks that have not ended."""
        listed = self.aws.client("s3").list_objects_v2(Bucket=self.state, Prefix="test/budget/")
        return [each["Key"] for each in listed.get("Contents", ())]


@pytest.fixture
def stage(aws: LocalAws, bucket: str, bus: str, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    # Local AWS is fast enough for the budget, whatever else runs.
    aws.set_faults(FaultPlan(hold=True))
    return Stage(aws, bucket, bus)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When requests were sent, in seconds."""
    at: list[float] = []
    send = EventBus.send

    def watched(*arguments: Any) -> None:
        at.append(time.monotonic())
        send(*arguments)

    monkeypatch.setattr(EventBus, "send", watched)
    return at


def most(at: list[float]) -> int:
    """The most requests in one second."""
    return max(bisect_left(at, each + 1) - place for place, each in enumerate(at))


def rate(at: list[float], since: float, until: float) -> float:
    """The requests per second between two times, which count from the first request."""
    return (bisect_left(at, at[0] + until) - bisect_left(at, at[0] + since)) / (until - since)


def test_one_event_type_uses_the_whole_budget_when_nothing_else_wants_it(stage: Stage, sent: list[float]) -> None:
    assert stage.deliver(OPEN, rows=7_000)["rows"]["sent"] == 7_000
    assert rate(sent, 0, 1) == pytest.approx(BUDGET / SLOTS, rel=0.4)
    assert rate(sent, 5, sent[-1] - sent[0]) > 0.6 * BUDGET
    assert most(sent) <= 1.05 * BUDGET + 1
    assert stage.roll() == []


def test_a_replay_and_an_export_share_the_budget_of_their_connector(stage: Stage, sent: list[float]) -> None:
    export = threading.Thread(target=stage.deliver, args=[OPEN, 8_000])
    export.start()
    stage.deliver(PURCHASE, 5_000, run="manual__1", replay=True, reason="lost")
    export.join()
    assert len(sent) >= 1_300
    assert most(sorted(sent)) <= 1.05 * BUDGET + 1
    # Without what they borrow, two slots of four would come to half.
    assert rate(sent, 0, sent[-1] - sent[0]) > 0.6 * BUDGET
    assert stage.roll() == []
