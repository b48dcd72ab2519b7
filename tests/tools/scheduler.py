"""An Airflow with a scheduler that runs, asked through its REST API as the UI does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.tools.airflow_env import airflow_env
from tests.tools.awaiting import wait_for
from tests.tools.local_aws import LocalAws
from tests.tools.up import addresses, api, free_port, standalone, wait_until_ready

ENDED = ("success", "failed")


def quiet_schedule() -> dict[str, int]:
    """The schedule of a connector whose last run was due some two minutes ago.

    A DAG that is turned on has that run to make, and no other comes while something is tested or measured.
    """
    return {"delay_minutes": (datetime.now(UTC).minute - 2) % 60 or 59}


@dataclass
class Scheduler:
    """A running Airflow, at ``port`` of this machine; ``log`` is that of its API server."""

    client: httpx.Client
    port: int
    log: Path

    def ask(self, method: str, path: str, **json: Any) -> Any:
        """An answer of the API, which has to be a success."""
        found = self.answer(method, path, **json)
        assert found.is_success, found.text
        return found.json() if found.content else None

    def answer(self, method: str, path: str, **json: Any) -> httpx.Response:
        """Whatever the API answers. SQLite has one writer; whoever finds it busy asks again, as a person would."""

        def answer() -> httpx.Response | None:
            try:
                found = self.client.request(method, path, json=json or None)
            except httpx.TransportError as error:
                error.add_note(f"The log of Airflow ends with\n{self.log.read_text('utf-8', 'replace')[-4_000:]}")
                raise
            return None if found.status_code == 500 and "Database error" in found.text else found

        found: httpx.Response = wait_for(300, answer)
        return found


@dataclass
class RunningDag:
    """One DAG of a running Airflow."""

    scheduler: Scheduler
    name: str

    def ask(self, method: str, path: str, **json: Any) -> Any:
        """An answer about the DAG."""
        return self.scheduler.ask(method, f"dags/{self.name}{path}", **json)

    def switch_on(self) -> None:
        """Has the DAG's runs run."""
        self.ask("PATCH", "?update_mask=is_paused", is_paused=False)

    def trigger(self, **conf: Any) -> str:
        """Starts a run by hand and returns its id."""
        return str(self.ask("POST", "/dagRuns", logical_date=None, conf=conf)["dag_run_id"])

    def run(self, **conf: Any) -> tuple[str, str]:
        """Starts a run by hand, waits for its end, and returns its id and state."""
        run = self.trigger(**conf)
        return run, self.ended(run)

    def ended(self, run: str, seconds: float = 400) -> str:
        """The state that a run ends in."""
        return str(wait_for(seconds, lambda: (state := self.ask("GET", f"/dagRuns/{run}")["state"]) in ENDED and state))

    def runs(self, kind: str) -> list[Any]:
        """The runs of a type, in the order of their starts."""
        return list(self.ask("GET", f"/dagRuns?run_type={kind}&limit=100&order_by=id")["dag_runs"])

    def tasks(self, run: str) -> list[Any]:
        """The task instances of a run."""
        return list(self.ask("GET", f"/dagRuns/{run}/taskInstances?limit=100")["task_instances"])

    def shards(self, run: str) -> list[Any]:
        """The mapped tasks of a run that deliver."""
        return [task for task in self.tasks(run) if task["task_id"] == "deliver" and task["state"] != "removed"]

    def states(self, run: str) -> dict[str, str]:
        """The states of a run's tasks, the last of those that are mapped."""
        return {task["task_id"]: task["state"] for task in self.tasks(run)}

    def clear(self, run: str, *tasks: Any, only_failed: bool = False) -> None:
        """Clears tasks of a run: names, or names with a map index; all of them where none is named."""
        self.ask(
            "POST",
            "/clearTaskInstances",
            dry_run=False,
            dag_run_id=run,
            only_failed=only_failed,
            include_downstream=bool(tasks),
            reset_dag_runs=True,
            **({"task_ids": tasks} if tasks else {}),
        )

    def log(self, run: str, task: str, try_number: int = 1, map_index: int = -1) -> str:
        """What a task logged."""
        path = f"/dagRuns/{run}/taskInstances/{task}/logs/{try_number}?map_index={map_index}&full_content=true"
        return "\n".join(map(_text, self.ask("GET", path)["content"]))

    def backfill(self, first: str, last: str, **options: Any) -> list[Any]:
        """Backfills hours up to, and without, the last, waits for the end, and returns its runs in their order."""
        before = len(self.runs("backfill"))
        number = self.start_backfill(first, last, **options)

        def ended() -> list[Any]:
            runs = self.runs("backfill")[before:]
            return runs if all(run["state"] in ENDED for run in runs) else []

        runs: list[Any] = wait_for(600, ended)
        # The scheduler only looks every 30 seconds whether a backfill is complete, before which there is no other. It
        # may just have looked: a complete one can't be cancelled.
        cancelled = self.scheduler.answer("PUT", f"backfills/{number}/cancel")
        assert cancelled.is_success or "already completed" in cancelled.text, cancelled.text
        return runs

    def start_backfill(self, first: str, last: str, **options: Any) -> int:
        """Starts a backfill and returns its number."""
        bounds = {"from_date": f"{first}:00:00+00:00", "to_date": f"{last}:00:00+00:00"}
        return int(self.scheduler.ask("POST", "backfills", dag_id=self.name, **bounds, **options)["id"])


def _text(line: dict[str, Any]) -> str:
    """A line of a log, with the messages of exceptions as the UI shows them."""
    return " ".join([line["event"], *(each["exc_value"] for each in line.get("error_detail", ()))])


@contextmanager
def scheduler(
    home: Path,
    aws: LocalAws,
    connectors: Sequence[dict[str, Any]],
    *,
    environment: Mapping[str, str] | None = None,
    scheduler_environment: Mapping[str, str] | None = None,
) -> Iterator[Scheduler]:
    """Starts an Airflow in ``home`` with some connectors, whose DAGs are switched off, and stops it at the end.

    ``scheduler_environment`` is for its scheduler alone.
    """
    port, log, path = free_port(), home / "airflow.log", home / "connectors.yaml"
    path.write_text(yaml.safe_dump({"connectors": list(connectors)}))
    settings = {
        **os.environ,
        **airflow_env(home),
        **aws.environment(),
        **addresses(port),
        "CURRENTS_CONNECTORS": str(path),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "true",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
        # The parts of `standalone` share one that is made up; these have none.
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of the tests that is longer than 64 characters, as it has to be",
        **(environment or {}),
    }
    with ExitStack() as running:
        if scheduler_environment:
            for part in ("api-server", "dag-processor"):
                running.enter_context(standalone(settings, home / f"{part}.log", part))
            settings |= scheduler_environment
        part = "scheduler" if scheduler_environment else "standalone"
        process = running.enter_context(standalone(settings, log, part))
        wait_until_ready(port, process, log, f"currents_export_{connectors[-1]['name']}")
        with api(port) as client:
            yield Scheduler(client, port, home / "api-server.log" if scheduler_environment else log)
