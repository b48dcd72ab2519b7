"""Runs of a connector in a process of their own: what to run, where, and what it took; see ``scale_child``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.store import READING, WRITING, Fill, LocalStore
from currents_core.hour import format_hour
from tests.tools.airflow_env import airflow_env

SOURCE, STATE, PREFIX = "source", "state", "in/"
EVENT_TYPE = "users.messages.email.Click"
# An hour of its own, long before all others.
WARM_UP = "2026-01-01-00"
# The tasks of a run.
STEPS = ("discover", "deliver", "reconcile")


@dataclass(frozen=True)
class Asked:
    """One run: its hour, the last one of a stretch if it is one, and what kind of run it is."""

    hour: str
    until: str | None = None
    kind: str = "manual"


@dataclass
class Step:
    """What a step took: seconds, those of CPU, and requests to S3 by what they are billed as."""

    seconds: float = 0.0
    cpu: float = 0.0
    requests: dict[str, int] = field(default_factory=dict)

    def add(self, other: Step) -> None:
        """Adds what another took."""
        self.seconds += other.seconds
        self.cpu += other.cpu
        self.requests = dict(Counter(self.requests) + Counter(other.requests))

    @property
    def all_requests(self) -> int:
        """All requests."""
        return sum(self.requests.values())


@dataclass
class Figures:
    """What runs came to: what each step took, tasks, events that were sent, and the peak memory in MB."""

    steps: dict[str, Step]
    tasks: int = 0
    sent: int = 0
    peak: float = 0.0

    @property
    def total(self) -> Step:
        """All steps together."""
        found = Step()
        for step in self.steps.values():
            found.add(step)
        return found

    @classmethod
    def from_json(cls, text: bytes) -> Figures:
        """What the process printed."""
        raw = json.loads(text)
        steps = {name: Step(**each) for name, each in raw["steps"].items()}
        return cls(steps, raw["tasks"], raw["sent"], raw["peak"])


@dataclass
class World:
    """A store and a sink of events that a connector works with, and the most seconds that its runs may take."""

    store: LocalStore
    sink: str
    timeout: float

    def fill(self, *, hours: Sequence[str], files: int, rows: int, types: Sequence[str] = (EVENT_TYPE,)) -> None:
        """Puts small files."""
        self.store.fill(Fill(SOURCE, PREFIX, types, hours, files, rows))

    def run(self, *asked: Asked) -> Figures:
        """Makes runs, in a process of their own. Raises subprocess.TimeoutExpired where they take too long."""
        self.fill(hours=[WARM_UP], files=1, rows=10)
        with TemporaryDirectory() as home:
            environment = {
                **os.environ,
                **airflow_env(Path(home)),
                "AWS_ACCESS_KEY_ID": "benchmark",
                "AWS_SECRET_ACCESS_KEY": "benchmark",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": self.sink,
                "AWS_ENDPOINT_URL_S3": self.store.url,
            }
            told = json.dumps([asdict(each) for each in asked])
            command = [sys.executable, "-m", "benchmarks.scale_child", self.store.url, told]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, timeout=self.timeout)
        return Figures.from_json(done.stdout.splitlines()[-1])


def hours_before(count: int, *, back: int = 1) -> list[str]:
    """So many hours in their order, of which the last one ended ``back - 1`` hours ago, and some minutes."""
    now = datetime.now(UTC)
    return [format_hour(now - timedelta(hours=number)) for number in range(back + count - 1, back - 1, -1)]


def billed(requests: Mapping[str, int]) -> tuple[int, int]:
    """Requests that are billed as reads, and as writes. Deleting costs nothing.

    Source: https://aws.amazon.com/s3/pricing
    """
    return requests.get(READING, 0), sum(requests.get(kind, 0) for kind in (WRITING, "LIST"))
