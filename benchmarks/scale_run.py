"""Runs of a connector in a process of their own: the real operators, one after the other, without Airflow's scheduler.

Each step is timed, and its requests to S3 are counted. The source and the state are in the local store. Imports and the
first use of everything are over before anything is measured.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from airflow.sdk.exceptions import AirflowException

from benchmarks.peak import peak
from benchmarks.store import READING, WRITING, Fill, LocalStore
from currents_core.hour import format_hour
from currents_core.setup.run_request import run_request
from currents_core.setup.settings import Connector
from tests.tools.airflow_env import airflow_env
from tests.tools.tasks import Tasks

SOURCE, STATE, PREFIX = "source", "state", "in/"
EVENT_TYPE = "users.messages.email.Click"
# An hour of its own, long before all others.
WARM_UP = "2026-01-01-00"
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
            command = [sys.executable, "-m", "benchmarks.scale_run", self.store.url, told]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, timeout=self.timeout)
        return Figures.from_json(done.stdout.splitlines()[-1])


class TimedTasks(Tasks):
    """The tasks of a run, each of which is timed."""

    def __init__(self, connector: Connector, store: LocalStore) -> None:
        super().__init__(connector)
        self.kind = "manual"
        self._store = store
        self.forget()

    def forget(self) -> None:
        """Begins anew."""
        self.figures = Figures({name: Step() for name in STEPS})

    def play(self, asked: Asked) -> None:
        """Makes a run."""
        self.kind = asked.kind
        params = {"hour": asked.hour, "until": asked.until} if asked.until else {}
        request = run_request(
            params,
            asked.hour,
            self.connector,
            is_scheduled=asked.kind == "scheduled",
            is_backfill=asked.kind == "backfill",
        )
        # Each task has clients of its own, as it has in a worker.
        with self._timed("discover"):
            plans = self.discover(self._parts(request))
        results = []
        for plan in plans:
            with self._timed("deliver"):
                results.append(self.deliver(plan, self._parts(request)))
        with self._timed("reconcile"):
            self.reconcile(plans, results, self._parts(request))
        self.figures.tasks += len(plans) + 2
        self.figures.sent += sum(each["sent"] for each in results if each)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        before, wall, cpu = self._store.counts(), time.perf_counter(), _cpu()
        yield
        seconds, used = time.perf_counter() - wall, _cpu() - cpu
        self.figures.steps[name].add(Step(seconds, used, self._store.counts() - before))

    def _context(self, task_id: str, results: list[Any] | None = None) -> Any:
        context = super()._context(task_id, results)
        # A run by hand tries whether it may send, by an entry that must be refused; the sink takes everything.
        context["dag_run"].run_type = "scheduled" if self.kind == "manual" else self.kind
        return context


def connector() -> Connector:
    """The connector of all these runs. It has all of the budget that it could want."""
    settings = {
        "name": "benchmark",
        "source": {"bucket": SOURCE, "prefix": PREFIX, "aws_conn_id": None},
        "destination": {"kind": "event_bus", "name": "bus", "region": "us-east-1", "aws_conn_id": None},
        "state": {"bucket": STATE, "aws_conn_id": None},
        "budget": {"entries_per_second": 1_000_000},
    }
    return Connector.model_validate(settings)


def hours_before(count: int, *, back: int = 1) -> list[str]:
    """So many hours in their order, of which the last one ended ``back - 1`` hours ago, and some minutes."""
    now = datetime.now(UTC)
    return [format_hour(now - timedelta(hours=number)) for number in range(back + count - 1, back - 1, -1)]


def billed(requests: Mapping[str, int]) -> tuple[int, int]:
    """Requests that are billed as reads, and as writes. Deleting costs nothing.

    Source: https://aws.amazon.com/s3/pricing
    """
    return requests.get(READING, 0), sum(requests.get(kind, 0) for kind in (WRITING, "LIST"))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(url: str, told: str) -> None:
    """Makes the runs, and prints what they took."""
    tasks = TimedTasks(connector(), LocalStore(url))
    tasks.play(Asked(WARM_UP))
    tasks.forget()
    # Forgets the peak so far.
    Path("/proc/self/clear_refs").write_text("5")
    for each in json.loads(told):
        tasks.play(Asked(**each))
    tasks.figures.peak = peak() / 1024
    print(json.dumps(asdict(tasks.figures)))


if __name__ == "__main__":
    # Everything that the tasks tell goes to stderr, and only what is wrong.
    logging.basicConfig(level=logging.ERROR)
    try:
        main(*sys.argv[1:])
    except AirflowException as error:
        sys.exit(f"{type(error).__name__}: {error}")
