"""The process that makes runs: the real operators, one after the other, without Airflow's scheduler.

Each step is timed, and its requests to S3 are counted. The source and the state are in the local store. Imports and the
first use of everything are over before anything is measured, and all runs share their S3 clients: what each process of
a task takes to begin is part of what Airflow costs.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.scale_run import PREFIX, SOURCE, STATE, STEPS, WARM_UP, Asked, Figures, Step
from benchmarks.store import LocalStore
from benchmarks.used import cpu_seconds, peak
from currents_core.setup.run_request import RunRequest, run_request
from currents_core.setup.settings import Connector
from tests.tools.tasks import Tasks

if TYPE_CHECKING:
    from currents_airflow.parts import RunParts


class TimedTasks(Tasks):
    """The tasks of a run, each of which is timed."""

    def __init__(self, connector: Connector, store: LocalStore) -> None:
        super().__init__(connector)
        self.kind = "manual"
        self._store = store
        self._clients: dict[str, Any] = {}
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
        before, wall, cpu = self._store.counts(), time.perf_counter(), cpu_seconds()
        yield
        seconds, used = time.perf_counter() - wall, cpu_seconds() - cpu
        self.figures.steps[name].add(Step(seconds, used, self._store.counts() - before))

    def _parts(self, request: RunRequest) -> RunParts:
        parts = super()._parts(request)
        # Parts are made when they are first asked for, and kept.
        self._clients = self._clients or {"source": parts.source, "_kept": parts._kept}
        vars(parts).update(self._clients)
        return parts

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
    logging.basicConfig(level=logging.ERROR)
    main(*sys.argv[1:])
