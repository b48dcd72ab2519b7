"""The steps that set up a connector's destination without a scheduler: the real operators over the real adapters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import AirflowRescheduleException

from currents_airflow.connect_dag import connect_dag
from currents_core.setup.settings import Connector


class _Store(dict[str, Any]):
    """What a task keeps in Airflow."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


class _Task:
    """A task instance that has not waited yet."""

    def get_first_reschedule_date(self, _context: Mapping[str, Any]) -> datetime | None:
        """When it waited first."""
        return None


class Connecting:
    """A run of a connect DAG, whose steps may be run in any order. ``stores`` has what each task keeps, by its name."""

    def __init__(self, connector: Connector) -> None:
        self.connector = connector
        self.stores: dict[str, _Store] = {}
        self.dag = connect_dag(connector)
        self._results: dict[str, Any] = {}

    def step(self, name: str, **fields: Any) -> Any:
        """What a step returns; the form has its defaults, but for ``fields``. False where a sensor goes on waiting."""
        task: Any = self.dag.get_task(name)
        if hasattr(task, "bus"):
            task.bus = self._results["create"]
        store = self.stores.setdefault(name, _Store())
        params = {**self.dag.params.dump(), **fields}
        context = {"params": params, "ti": _Task(), "task_state_store": store, "dag_run": SimpleNamespace(run_id="run")}
        try:
            found = self._results[name] = task.run_for(context, self.connector)
        except AirflowRescheduleException:
            return False
        return found

    def run(self, **fields: Any) -> None:
        """Runs every step, one after the other. Raises AssertionError where a sensor would go on waiting."""
        for name in self.steps:
            assert self.step(name, **fields) is not False, name

    @property
    def steps(self) -> list[str]:
        """The names of the steps, in their order."""
        return [task.task_id for task in self.dag.topological_sort()]  # type: ignore[no-untyped-call]
