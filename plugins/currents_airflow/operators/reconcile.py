"""Closes a run: writes the manifests of its hours, and fails where the books don't balance."""

from __future__ import annotations

import json
from collections.abc import Sequence, Set
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskInstanceState

from currents_airflow import metrics
from currents_airflow.links import EventBusLink, HourManifestLink, SourceFilesLink
from currents_airflow.operators.base import CurrentsOperator
from currents_core.counted import counted
from currents_core.errors import DeliveryError
from currents_core.hour import hour_end

if TYPE_CHECKING:
    from airflow.sdk import Context

    from currents_airflow.parts import RunParts
    from currents_core.books.manifest import Manifest, Manifests
    from currents_core.finding.shard import Shard
    from currents_core.setup.run_request import RunRequest


FAILED = (TaskInstanceState.FAILED, TaskInstanceState.UPSTREAM_FAILED)


class CurrentsReconcileOperator(CurrentsOperator):
    """Accounts for the run's hours, and for earlier hours that got late files, from the ledger.

    Each hour that is over and complete, and was not told of with the same content before, is announced: by an event of
    its outlet with the hour as partition. Dry runs, trials and replays announce nothing.

    :param plans: the list that ``CurrentsDiscoverOperator`` returned, and the task before this is mapped over; None
        where it failed
    """

    operator_extra_links = (HourManifestLink(), SourceFilesLink(), EventBusLink())
    template_fields: Sequence[str] = (*CurrentsOperator.template_fields, "plans")

    def __init__(self, *, plans: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plans = plans

    def run_step(self, context: Context, parts: RunParts, /) -> dict[str, Any]:
        """Returns the totals and the place of each manifest. Raises DeliveryError where an hour is not complete.

        Airflow takes the run's state from this task alone, as the last one that counts: so it must fail with the
        tasks before it, also where no hole shows in the books.
        """
        self.addresses = parts.addresses(hour=(*parts.request.hours, None)[0])
        failed = self._failed_upstream(context)
        if self.plans is None:
            raise DeliveryError(f"{self.connector}: nothing was planned; see the log of the first task")
        if parts.request.is_dry:
            self.outlets = []
            return self._forecast(context, parts, failed)
        shards = [parts.plans.read(plan["key"]) for plan in self.plans if plan["key"]]
        return self.close(context, parts, shards, failed)

    def close(
        self, context: Context, parts: RunParts, shards: Sequence[Shard], failed: Sequence[str]
    ) -> dict[str, Any]:
        """Accounts for the shards of the run. ``failed`` names its failed tasks."""
        from currents_core.books.account import total
        from currents_core.books.manifest import reconcile

        request = parts.request
        files = [file for shard in shards for file in shard.files]
        hours = sorted({*request.hours, *(place.hour for shard in shards for place in shard.work)})
        manifests = [reconcile(self.connector, each, files, parts.ledger) for each in hours]
        # A file of an earlier hour that failed before is that hour's fault, and no run's that looks back on it.
        planned = {file.key for file in files}
        open_hours = [each for each in manifests if _is_open(each, request, planned)]
        faults = [_complaint(each) for each in open_hours] or [f"{name} failed; see its log" for name in failed]
        announces = bool(self.outlets) and not (faults or request.is_partial or request.is_replay)
        complete: list[Manifest] = []
        now = datetime.now(UTC)
        for manifest in manifests:
            if parts.manifests.write(manifest, now, announce=announces):
                complete.append(manifest)
            self.log.info("%s: %s", manifest.hour, manifest.account.totals)
        for rule in total(each.account for each in manifests).idle_rules:
            self.log.warning("%s: personal data: %s found nothing; check its names", self.connector, rule)
        self._measure(context, parts, manifests)
        if faults:
            raise DeliveryError(f"{self.connector}: {'; '.join(faults)}")
        self._announce(context, parts.manifests, complete)
        return {
            manifest.hour: {
                "manifest": f"s3://{parts.state.bucket}/{parts.manifests.key(manifest.hour)}",
                "totals": asdict(manifest.account.totals),
            }
            for manifest in manifests
        }

    def results(self, context: Context) -> list[dict[str, Any]]:
        """What the tasks that are mapped over the plans returned; nothing of those that had nothing to do."""
        mapped = [task.task_id for task in self.upstream_list if task.is_mapped]
        # By index: a removed task of an earlier try may have left a result as well.
        indexes = range(len(self.plans or ()))
        return [each for each in context["ti"].xcom_pull(task_ids=mapped, map_indexes=indexes) if each]

    def _announce(self, context: Context, manifests: Manifests, complete: Sequence[Manifest]) -> None:
        """Has Airflow announce hours once the task has succeeded, and only then notes that it was done."""
        for outlet in self.outlets if complete else ():
            context["outlet_events"][outlet].add_partitions([each.hour for each in complete])
        if not complete:
            # An outlet without partitions would still make an event.
            self.outlets = []

        def note(_context: Context) -> None:
            for manifest in complete:
                manifests.announced(manifest, datetime.now(UTC))

        self.on_success_callback = [*self.on_success_callback, note]

    def _measure(self, context: Context, parts: RunParts, manifests: Sequence[Manifest]) -> None:
        if parts.request.is_replay:
            return
        name, open_files = parts.connector.name, sum(len(each.open_files) for each in manifests)
        metrics.gauge(name, files_open=open_files, hours_incomplete=sum(not each.complete for each in manifests))
        metrics.count(name, hours_complete=sum(each.complete for each in manifests))
        if context["dag_run"].run_type == "scheduled" and self.kind == "export":
            lag = datetime.now(UTC) - hour_end(parts.request.hours[0])
            metrics.gauge(name, lag_seconds=lag.total_seconds())

    def _forecast(self, context: Context, parts: RunParts, failed: Sequence[str]) -> dict[str, Any]:
        """The report of a dry run, which leaves no other trace."""
        from currents_core.delivering.dry_run import Forecast, total_forecast

        if failed:
            raise DeliveryError(f"{self.connector}: {', '.join(failed)} failed; see the log")
        forecasts = map(Forecast.from_json, self.results(context))
        report = total_forecast(forecasts).report(parts.connector, parts.request.pace)
        self.log.info("Nothing was sent. A real run would send:\n%s", json.dumps(report, indent=2, ensure_ascii=False))
        return report

    def _failed_upstream(self, context: Context) -> list[str]:
        run = context["dag_run"]
        states = context["ti"].get_task_states(
            dag_id=run.dag_id, run_ids=[run.run_id], task_ids=sorted(self.upstream_task_ids)
        )
        return sorted(name for name, state in states.get(run.run_id, {}).items() if state in FAILED)


def _is_open(manifest: Manifest, request: RunRequest, planned: Set[str]) -> bool:
    """Whether the run must fail for an hour: something that it should have delivered is open."""
    if request.is_partial or manifest.complete:
        return False
    return manifest.hour in request.hours or not planned.isdisjoint(manifest.open_files)


def _complaint(manifest: Manifest) -> str:
    if not manifest.open_files:
        return f"{manifest.hour}: the books don't balance ({manifest.account.totals}); please report this"
    reasons = list(manifest.open_files.values())
    return f"{manifest.hour} is not complete, {counted(len(reasons), 'open file')}: {'; '.join(reasons[:5])}"
