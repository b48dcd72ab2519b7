"""The tries of tasks that a running cluster has: what they are, where they run, and what becomes of them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import psutil

from tests.chaos.stage import CLASSIC
from tests.tools.cluster import Cluster, Part

# Within a minute, a try has what the one before held, and has sent first what that one had under way. Where its worker
# died, it counts as running until that is noticed.
LONG_SECONDS = 60 + 90


@dataclass(frozen=True)
class Try:
    """One try of a task, and the process that makes it."""

    path: str
    task: str
    connector: str
    number: int
    state: str | None
    pid: int
    id: str

    @property
    def is_alive(self) -> bool:
        """Whether its process runs, which has the try's id in its title. What nobody has reaped has none."""
        with suppress(psutil.Error):
            return self.id in " ".join(psutil.Process(self.pid).cmdline())
        return False


class Tries:
    """Asks Airflow for tries. Raises httpx.HTTPError while nobody answers."""

    def __init__(self, cluster: Cluster, client: httpx.Client) -> None:
        self._cluster, self.client = cluster, client

    def running(self) -> list[Try]:
        """The tries that deliver."""
        found = self._ask("dags/~/dagRuns/~/taskInstances?state=running&limit=100")["task_instances"]
        tries = [_try(each) for each in found if each["task_id"] == "deliver"]
        return [each for each in tries if each.is_alive]

    def now(self, before: Try) -> Try:
        """The last try of the same task."""
        return _try(self._ask(before.path))

    def begin_probe(self) -> str:
        """Triggers a dry run of an hour without files, to see when its first task starts. Returns its path."""
        asked = {"logical_date": None, "conf": {"hour": "2020-01-01-00", "dry_run": True}}
        runs = f"dags/currents_export_{CLASSIC}/dagRuns"
        return f"{runs}/{self.client.post(runs, json=asked).raise_for_status().json()['dag_run_id']}"

    def has_begun(self, probe: str) -> bool:
        """Whether the first task of a probe has started."""
        return bool(self._ask(f"{probe}/taskInstances/discover")["start_date"])

    def is_queued(self, probe: str) -> bool:
        """Whether the first task of a probe was sent to a worker, and has not started."""
        return bool(self._ask(f"{probe}/taskInstances/discover")["state"] == "queued")

    def probes_under_way(self) -> bool:
        """Whether a probe has not ended."""
        return bool(self._ask("dags/~/dagRuns?state=queued&state=running&run_type=manual&limit=1")["dag_runs"])

    def under_way(self) -> bool:
        """Whether a run is queued or running."""
        return bool(self._ask("dags/~/dagRuns?state=queued&state=running&limit=1")["dag_runs"])

    def failed_runs(self) -> list[str]:
        """The runs that failed."""
        return [run["dag_run_id"] for run in self._ask("dags/~/dagRuns?state=failed&limit=100")["dag_runs"]]

    def waiting_for_retries(self) -> set[tuple[str, int]]:
        """The tasks that wait for their next tries, and the numbers of those before."""
        found = self._ask("dags/~/dagRuns/~/taskInstances?state=up_for_retry&limit=100")["task_instances"]
        return {(each.path, each.number) for each in map(_try, found)}

    def was_taken_up(self, before: Try, until: datetime) -> bool:
        """Whether a later try of the same task began before a time, and ended well or ran for a while."""
        return any(
            each["try_number"] > before.number
            and each["start_date"]
            and datetime.fromisoformat(each["start_date"]) < until
            and (each["state"] == "success" or each["duration"] is None or each["duration"] >= LONG_SECONDS)
            for each in self._ask(f"{before.path}/tries")["task_instances"]
        )

    def worker(self, one: Try) -> Part | None:
        """The worker that a try runs on."""
        with suppress(psutil.Error):
            above = {parent.pid for parent in psutil.Process(one.pid).parents()}
            for worker in self._cluster.workers:
                if worker.process and worker.process.pid in above:
                    return worker
        return None

    def on(self, worker: Part) -> list[Try]:
        """The tries that run on a worker."""
        return [each for each in self.running() if self.worker(each) is worker]

    def _ask(self, path: str) -> Any:
        return self.client.get(path).raise_for_status().json()


def _try(told: dict[str, Any]) -> Try:
    path = "dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/{map_index}".format(**told)
    return Try(
        path,
        told["task_id"],
        told["dag_id"].removeprefix("currents_export_"),
        told["try_number"],
        told["state"],
        told["pid"] or 0,
        told["id"],
    )
