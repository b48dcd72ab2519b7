"""The tasks of a run without a scheduler: the real operators over the real adapters, one after the other."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

from airflow.sdk import DAG

from currents_airflow.operators.deliver import CurrentsToEventBridgeOperator
from currents_airflow.operators.discover import CurrentsDiscoverOperator
from currents_airflow.operators.plan import Plan
from currents_airflow.operators.reconcile import CurrentsReconcileOperator
from currents_airflow.operators.redrive import CurrentsConcludeRedriveOperator, CurrentsSelectLettersOperator
from currents_airflow.parts import RunParts
from currents_core.setup.run_request import RunRequest, redrive_request, run_request
from currents_core.setup.settings import Connector


class Tasks:
    """Runs of a connector. Each returns what its last task did."""

    def __init__(self, connector: Connector) -> None:
        self.connector = connector

    def export(self, hour: str, *, is_scheduled: bool = False, **params: Any) -> Any:
        """Exports an hour. Days count as quiet at once, so that a scheduled run compacts those before its window."""
        request = run_request(params, hour, self.connector, is_scheduled=is_scheduled)
        parts = self._parts(request)
        plans = self.discover(parts)
        results = [self.deliver(plan, parts) for plan in plans]
        parts.compaction.quiet = -1.0
        return self.reconcile(plans, results, parts)

    def discover(self, parts: RunParts) -> list[Plan]:
        """Plans the run."""
        discover = CurrentsDiscoverOperator(task_id="discover", connector=self.connector.name)
        return discover.run_step(self._context("discover"), parts)

    def reconcile(self, plans: list[Plan], results: list[Any], parts: RunParts) -> Any:
        """Closes the run."""
        with self._dag():
            reconcile = CurrentsReconcileOperator(task_id="reconcile", connector=self.connector.name, plans=plans)
        return reconcile.run_step(self._context("reconcile", results), parts)

    def redrive(self, hour: str) -> Any:
        """Sends the dead letters of an hour again."""
        request = redrive_request({}, hour)
        parts = self._parts(request)
        select = CurrentsSelectLettersOperator(task_id="select", connector=self.connector.name)
        plans = select.run_step(self._context("select"), parts)
        results = [self.deliver(plan, parts) for plan in plans]
        with self._dag():
            conclude = CurrentsConcludeRedriveOperator(task_id="conclude", connector=self.connector.name, plans=plans)
        return conclude.run_step(self._context("conclude", results), parts)

    def deliver(self, plan: Plan, parts: RunParts) -> Any:
        """Delivers a shard, or sends its dead letters again."""
        deliver = CurrentsToEventBridgeOperator(task_id="deliver", connector=self.connector.name, shard=plan)
        try:
            return deliver.run_step(self._context("deliver"), parts)
        finally:
            # The operator freezes what its process has loaded, and closes its bus; other tasks come after it here.
            gc.unfreeze()
            for name in ("target", "bus"):
                vars(parts).pop(name, None)

    def _dag(self) -> DAG:
        # Where the last task looks for the tasks before it.
        return DAG(dag_id="d", schedule=None)

    def _parts(self, request: RunRequest) -> RunParts:
        return RunParts(self.connector, request, "run")

    def _context(self, task_id: str, results: list[Any] | None = None) -> Any:
        # Airflow's name for runs of a single task, which ask nothing of the scheduler.
        run = SimpleNamespace(
            run_type="manual", run_id="__airflow_temporary_run", dag_id="d", triggering_user_name=None, clear_number=0
        )
        run.model_copy = lambda **_: run
        task = SimpleNamespace(
            dag_id="d",
            run_id=run.run_id,
            task_id=task_id,
            map_index=0,
            try_number=1,
            get_task_states=lambda **_: {},
            xcom_pull=lambda **_: results or [],
        )
        return {"dag_run": run, "ti": task, "outlet_events": {}}
