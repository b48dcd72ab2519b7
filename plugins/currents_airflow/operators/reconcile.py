"""Closes a run: writes the manifests of its hours, and fails where the books do not balance."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskInstanceState

from currents_airflow.operators.base import CurrentsOperator
from include.currents.errors import DeliveryError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from currents_airflow.hooks.currents import CurrentsHook
    from include.currents.file_key import SourceFile
    from include.currents.manifest import Manifest


FAILED = (TaskInstanceState.FAILED, TaskInstanceState.UPSTREAM_FAILED)


class CurrentsReconcileOperator(CurrentsOperator):
    """Accounts for the run's hours, and for earlier hours that got late files, from the ledger.

    :param plans: what each ``CurrentsDiscoverOperator`` returned, by the task that is mapped over it; None where that
        failed or was skipped
    """

    template_fields: Sequence[str] = (*CurrentsOperator.template_fields, "plans")

    def __init__(self, *, plans: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plans = plans

    def run_step(self, context: Context, hook: CurrentsHook, /) -> dict[str, Any]:
        """Returns the totals and the place of each manifest. Raises DeliveryError where an hour is not complete.

        Airflow takes the run's state from this task alone, as the last one that counts: so it must fail with the
        tasks before it, also where no hole shows in the books.
        """
        planned = {task: list(plans) for task, plans in self.plans.items() if plans is not None}
        failed = self._failed_upstream(context)
        if not planned:
            raise DeliveryError(f"{self.connector}: nothing was planned; the log of the first task says why")
        if hook.request.is_dry:
            return self._forecast(context, hook, planned, failed)
        files = [file for plans in planned.values() for plan in plans for file in hook.plans.read(plan["key"]).files]
        return self.close(hook, files, failed)

    def close(self, hook: CurrentsHook, files: Sequence[SourceFile], failed: Sequence[str]) -> dict[str, Any]:
        """Accounts for the files that the run had; ``failed`` are the names of its tasks that did."""
        from include.currents.manifest import reconcile

        hours = sorted({*hook.request.hours, *(file.hour for file in files)})
        manifests = [reconcile(self.connector, each, files, hook.ledger) for each in hours]
        for manifest in manifests:
            hook.manifests.write(manifest, datetime.now(UTC))
            self.log.info("%s: %s", manifest.hour, manifest.account.totals)
        partial = hook.request.is_partial
        faults = [] if partial else [_complaint(manifest) for manifest in manifests if not manifest.complete]
        faults = faults or [f"{name} failed; its log says why" for name in failed]
        if faults:
            raise DeliveryError(f"{self.connector}: {'; '.join(faults)}")
        return {
            manifest.hour: {
                "manifest": f"s3://{hook.state.bucket}/{hook.manifests.key(manifest.hour)}",
                "totals": asdict(manifest.account.totals),
            }
            for manifest in manifests
        }

    def _forecast(
        self, context: Context, hook: CurrentsHook, planned: Mapping[str, Sequence[Any]], failed: Sequence[str]
    ) -> dict[str, Any]:
        """The report of a dry run, of which nothing is written down."""
        from include.currents.dry_run import Forecast, total_forecast

        if failed:
            raise DeliveryError(f"{self.connector}: {', '.join(failed)} failed; the log says why")

        def forecasts() -> Iterator[Forecast]:
            for task, plans in planned.items():
                # By number: what a removed task of an earlier try left is none of this run's.
                indexes = list(range(len(plans)))
                found = context["ti"].xcom_pull(task_ids=task, map_indexes=indexes) if indexes else []
                yield from (Forecast.from_json(each) for each in found)

        report = total_forecast(forecasts()).report(hook.connector, hook.request.pace)
        self.log.info("Nothing was sent. Sending would come to:\n%s", json.dumps(report, indent=2, ensure_ascii=False))
        return report

    def _failed_upstream(self, context: Context) -> list[str]:
        run = context["dag_run"]
        states = context["ti"].get_task_states(
            dag_id=run.dag_id, run_ids=[run.run_id], task_ids=sorted(self.upstream_task_ids)
        )
        return sorted(name for name, state in states.get(run.run_id, {}).items() if state in FAILED)


def _complaint(manifest: Manifest) -> str:
    if not manifest.open_files:
        return f"{manifest.hour}: the books do not balance ({manifest.account.totals}); please report this"
    reasons = list(manifest.open_files.values())
    return f"{manifest.hour} is not complete, open files: {len(reasons)}: {'; '.join(reasons[:5])}"
