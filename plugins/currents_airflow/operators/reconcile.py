"""Closes an hour: writes its manifest, and fails where the books do not balance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskInstanceState

from currents_airflow.operators.base import CurrentsOperator, hour_of
from include.currents.errors import DeliveryError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.currents.manifest import Manifest


FAILED = (TaskInstanceState.FAILED, TaskInstanceState.UPSTREAM_FAILED)


class CurrentsReconcileOperator(CurrentsOperator):
    """Accounts for the run's hour, and for earlier hours that got late files, from the ledger.

    :param shards: what ``CurrentsDiscoverOperator`` returned, or None where it failed
    """

    template_fields: Sequence[str] = (*CurrentsOperator.template_fields, "shards")

    def __init__(self, *, shards: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shards = shards

    def run_step(self, context: Context, /) -> dict[str, object]:
        """Returns the manifest's place and its totals. Raises DeliveryError where an hour is not complete.

        Airflow takes the run's state from this task alone, as the last one that counts: so it must fail with the
        tasks before it, also where no hole shows in the books.
        """
        if self.shards is None:
            raise DeliveryError(f"{self.connector}: nothing was planned; the log of `discover` says why")
        hour = hour_of(context)
        manifests = self._manifests(hour, self.shards)
        for manifest in manifests.values():
            self.hook.manifests.write(manifest, datetime.now(UTC))
            self.log.info("%s: %s", manifest.hour, manifest.account.totals)
        faults = [_complaint(manifest) for manifest in manifests.values() if not manifest.complete]
        faults = faults or [f"{name} failed; its log says why" for name in self._failed_upstream(context)]
        if faults:
            raise DeliveryError(f"{self.connector}: {'; '.join(faults)}")
        place = f"s3://{self.hook.state.bucket}/{self.hook.manifests.key(hour)}"
        return {"manifest": place, "totals": asdict(manifests[hour].account.totals)}

    def _failed_upstream(self, context: Context) -> list[str]:
        run = context["dag_run"]
        states = context["ti"].get_task_states(
            dag_id=run.dag_id, run_ids=[run.run_id], task_ids=sorted(self.upstream_task_ids)
        )
        return sorted(name for name, state in states.get(run.run_id, {}).items() if state in FAILED)

    def _manifests(self, hour: str, shards: Sequence[Mapping[str, Any]]) -> dict[str, Manifest]:
        from include.currents.manifest import reconcile

        files = [file for shard in shards for file in self.hook.plans.read(shard["key"]).files]
        hours = sorted({hour, *(file.hour for file in files)})
        return {each: reconcile(self.connector, each, files, self.hook.ledger) for each in hours}


def _complaint(manifest: Manifest) -> str:
    if not manifest.open_files:
        return f"{manifest.hour}: the books do not balance ({manifest.account.totals}); please report this"
    reasons = list(manifest.open_files.values())
    return f"{manifest.hour} is not complete, open files: {len(reasons)}: {'; '.join(reasons[:5])}"
